//! The journey: every step is a call or an awaited event through the public interface.

mod links;
mod resumable;
mod second_factor;
mod sessions;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use reqwest::multipart::Part;

use super::photo;
use super::report::{Failed, Report};
use crate::door::{Account, Door, FileView, Tokens, until};
use crate::stack::Manifest;

/// The actions of the journey that the audit log must show.
const ACTIONS: [&str; 5] = [
    "account.registered",
    "account.email_verified",
    "session.created",
    "session.refreshed",
    "file.uploaded",
];

const POLL: Duration = Duration::from_millis(50);

/// Runs the steps up to the first that fails. The report has the outcome.
pub(super) async fn run(manifest: &Manifest, report: &mut Report) -> Result<()> {
    let client = Door::of(manifest)?;
    let _ = steps(&client, manifest, report).await;
    Ok(())
}

async fn steps(client: &Door, manifest: &Manifest, report: &mut Report) -> Result<(), Failed> {
    let tokens = register(client, report).await?;
    let token = &tokens.access_token;
    let file = files(client, token, report).await?;
    let notification = notification(client, token, &file);
    report.step("read the notification", notification).await?;
    audit(client, manifest, token, &file, report).await?;
    let sent = resumable::steps(client, token, report).await?;
    links::steps(client, token, &sent, report).await?;
    resumable::trash_steps(client, token, &sent, report).await?;
    let path = format!("/v1/files/{}", file.id);
    let delete = async {
        client.delete_file(&file.id, token).await?;
        client.is_refused(&path, token, StatusCode::NOT_FOUND).await
    };
    report.step("delete the file", delete).await?;
    report.step("log out", client.log_out(token)).await?;
    let refused = client.is_refused("/v1/me", token, StatusCode::UNAUTHORIZED);
    report
        .step("be refused with the old token", refused)
        .await?;

    let newcomer = client.newcomer();
    let (account, tokens) = report.step("let a second person in", newcomer).await?;
    sessions::steps(client, &account, &tokens, report).await?;
    second_factor::steps(client, &manifest.page_origin(), &account, &tokens, report).await
}

/// Registers an account and logs in. Returns refreshed tokens.
async fn register(client: &Door, report: &mut Report) -> Result<Tokens, Failed> {
    let register = async {
        let account = Account::fresh()?;
        client.register(&account, "Smoke Test").await?;
        Ok(account)
    };
    let account = report.step("register", register).await?;
    let mail = client.verification_token(&account);
    let token = report.step("receive the verification mail", mail).await?;
    let verify = client.verify_email(&account, &token);
    report.step("verify the address", verify).await?;
    let log_in = client.log_in(&account.email, &account.password);
    let tokens = report.step("log in", log_in).await?;
    let profile = async {
        let me = client.get("/v1/me", &tokens.access_token).await?;
        let email = &me["email"];
        ensure!(email == account.email.as_str(), "its address is {email}");
        Ok(())
    };
    report.step("read the profile", profile).await?;
    let refresh = client.refresh(&tokens.refresh_token);
    report.step("refresh the tokens", refresh).await
}

/// Uploads a photograph and downloads everything that was derived from it.
async fn files(client: &Door, token: &str, report: &mut Report) -> Result<FileView, Failed> {
    let upload = async {
        let part = Part::bytes(photo::BYTES).file_name("photo.jpg");
        let part = part.mime_str("image/jpeg")?;
        let file = client.upload(part, token, Duration::from_secs(30)).await?;
        let size = photo::BYTES.len();
        let arrived = usize::try_from(file.size)?;
        ensure!(arrived == size, "{arrived} of {size} bytes arrived");
        Ok(file)
    };
    let file = report.step("upload a photograph", upload).await?;
    let variants = client.file_with_variants(&file.id, token);
    let ready = report.step("wait for both thumbnails", variants).await?;
    let original = async {
        let path = format!("/v1/files/{}/content", file.id);
        let bytes = client.content(&path, token).await?;
        ensure!(bytes == photo::BYTES, "it differs from the upload");
        Ok(())
    };
    report.step("download the original", original).await?;
    for preset in ["small", "large"] {
        let thumbnail = async {
            let mut variants = ready.variants.iter();
            let variant = variants.find(|variant| variant.preset == preset);
            let variant = variant.context("the file has no such variant")?;
            let path = format!("/v1/files/{}/variants/{preset}", file.id);
            photo::inspect(&client.content(&path, token).await?, variant)
        };
        let name = format!("download the {preset} thumbnail");
        report.step(&name, thumbnail).await?;
    }
    let range = async {
        let bytes = client.range(&file, 0..100, token).await?;
        ensure!(bytes == photo::BYTES[..100], "it differs from the upload");
        Ok(())
    };
    report.step("download a range", range).await?;
    Ok(file)
}

/// Waits for the notification about a file.
async fn notification(client: &Door, token: &str, file: &FileView) -> Result<()> {
    let find = async || {
        let page = client.list("/v1/me/notifications", token).await?;
        let mut items = page.items.iter();
        Ok(items
            .any(|item| item.to_string().contains(&file.id))
            .then_some(()))
    };
    until(Duration::from_secs(20), POLL, "none came", find).await
}

/// Reads the audit log as the administrator.
async fn audit(
    client: &Door,
    manifest: &Manifest,
    token: &str,
    file: &FileView,
    report: &mut Report,
) -> Result<(), Failed> {
    let log_in = client.log_in(&manifest.admin_email, &manifest.admin_password);
    let admin = report.step("log in as administrator", log_in).await?;
    let own = async {
        let me = client.get("/v1/me", token).await?;
        let id = me["id"].as_str().context("the profile has no id")?;
        let path = format!("/v1/audit-events?actor_id={id}&limit=200");
        let found = actions(client, &path, &admin).await?;
        let missing: Vec<_> = ACTIONS
            .iter()
            .filter(|action| !found.contains(**action))
            .collect();
        ensure!(missing.is_empty(), "{missing:?} is missing in {found:?}");
        Ok(())
    };
    let name = "find every action in the audit log";
    report.step(name, own).await?;
    let find = async || {
        let path = format!("/v1/audit-events?target_id={}&limit=200", file.id);
        let found = actions(client, &path, &admin).await?;
        Ok(found.contains("file.processed").then_some(()))
    };
    let limit = Duration::from_secs(10);
    let workers = until(limit, POLL, "no file.processed came", find);
    report.step("find the worker's in it, too", workers).await
}

async fn actions(client: &Door, path: &str, admin: &Tokens) -> Result<BTreeSet<String>> {
    let page = client.list(path, &admin.access_token).await?;
    let actions = page.items.iter().filter_map(|item| item["action"].as_str());
    Ok(actions.map(str::to_owned).collect())
}
