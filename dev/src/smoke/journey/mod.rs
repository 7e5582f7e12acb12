//! The journey itself: every step is one call or one awaited event through the
//! public door.

mod downloads;
mod files;
mod links;
mod resumable;
mod second_factor;
mod sessions;
mod trash;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;

use super::report::{Report, Step};
use crate::door::{Account, Door, FileView, Tokens, until};
use crate::stack::Manifest;

/// What the audit log must show of the person's own doings.
const ACTIONS: [&str; 5] = [
    "account.registered",
    "account.email_verified",
    "session.created",
    "session.refreshed",
    "file.uploaded",
];

pub(super) async fn walk(manifest: &Manifest, report: &mut Report) -> Result<()> {
    let door = Door::of(manifest)?;
    let account = Account::fresh()?;
    let tokens = enter(&door, &account, report).await;
    let me = report
        .step("read the profile", tokens.done(), async |tokens| {
            let me = door.get("/v1/me", &tokens.access_token).await?;
            ensure!(
                me["email"] == account.email.as_str(),
                "it shows {} as the address",
                me["email"]
            );
            me["id"].as_str().map(str::to_owned).context("it has no id")
        })
        .await;
    let tokens = report
        .step("refresh the tokens", tokens.done(), async |tokens| {
            door.refresh(&tokens.refresh_token).await
        })
        .await;
    let file = files::walk(&door, &tokens, report).await;
    report
        .step(
            "read the notification",
            tokens.and(&file),
            async |(tokens, file)| {
                let path = "/v1/me/notifications";
                until(
                    Duration::from_secs(20),
                    Duration::from_millis(50),
                    "none came",
                    async || {
                        let page = door.list(path, &tokens.access_token).await?;
                        Ok(page
                            .items
                            .iter()
                            .any(|item| item.to_string().contains(&file.id))
                            .then_some(()))
                    },
                )
                .await
            },
        )
        .await;
    audit(&door, manifest, &me, &file, report).await;
    let sent = resumable::walk(&door, &tokens, report).await;
    downloads::walk(&door, &tokens, &sent, report).await;
    links::walk(&door, &tokens, &sent, report).await;
    trash::walk(&door, &tokens, &sent, report).await;
    leave(&door, &tokens, &file, report).await;

    // Somebody else, whose first session does not end the journey above.
    let person = report
        .step("let a second person in", Step::Done(()), async |()| {
            door.newcomer().await
        })
        .await;
    sessions::walk(&door, &person, report).await;
    second_factor::walk(&door, &manifest.page_origin(), &person, report).await;
    Ok(())
}

/// From nobody to a session.
async fn enter(door: &Door, account: &Account, report: &mut Report) -> Step<Tokens> {
    let registered = report
        .step("register", Step::Done(()), async |()| {
            door.register(account, "Smoke Test").await
        })
        .await;
    let link = report
        .step(
            "receive the verification mail",
            registered.done(),
            async |()| door.verification_token(account).await,
        )
        .await;
    let verified = report
        .step("verify the address", link.done(), async |token| {
            door.verify_email(account, token).await
        })
        .await;
    report
        .step("log in", verified.done(), async |()| {
            door.log_in(&account.email, &account.password).await
        })
        .await
}

/// The log of all this, as the administrator sees it.
async fn audit(
    door: &Door,
    manifest: &Manifest,
    me: &Step<String>,
    file: &Step<FileView>,
    report: &mut Report,
) {
    let admin = report
        .step("log in as administrator", Step::Done(()), async |()| {
            door.log_in(&manifest.admin_email, &manifest.admin_password)
                .await
        })
        .await;
    report
        .step(
            "find every action in the audit log",
            admin.and(me),
            async |(admin, me)| {
                let path = format!("/v1/audit-events?actor_id={me}&limit=200");
                let found = actions(door, &path, admin).await?;
                let missing: Vec<_> = ACTIONS
                    .iter()
                    .filter(|action| !found.contains(**action))
                    .collect();
                ensure!(missing.is_empty(), "{missing:?} is missing among {found:?}");
                Ok(())
            },
        )
        .await;
    report
        .step(
            "find the worker's in it, too",
            admin.and(file),
            async |(admin, file)| {
                let path = format!("/v1/audit-events?target_id={}&limit=200", file.id);
                until(
                    Duration::from_secs(10),
                    Duration::from_millis(50),
                    "no file.processed came",
                    async || {
                        Ok(actions(door, &path, admin)
                            .await?
                            .contains("file.processed")
                            .then_some(()))
                    },
                )
                .await
            },
        )
        .await;
}

async fn actions(door: &Door, path: &str, admin: &Tokens) -> Result<BTreeSet<String>> {
    let page = door.list(path, &admin.access_token).await?;
    Ok(page
        .items
        .iter()
        .filter_map(|item| item["action"].as_str())
        .map(str::to_owned)
        .collect())
}

/// Nothing is left that could still be used.
async fn leave(door: &Door, tokens: &Step<Tokens>, file: &Step<FileView>, report: &mut Report) {
    report
        .step(
            "delete the file",
            tokens.and(file),
            async |(tokens, file)| {
                door.delete_file(&file.id, &tokens.access_token).await?;
                let path = format!("/v1/files/{}", file.id);
                door.is_refused(&path, &tokens.access_token, StatusCode::NOT_FOUND)
                    .await
            },
        )
        .await;
    let left = report
        .step("log out", tokens.done(), async |tokens| {
            door.log_out(&tokens.access_token).await
        })
        .await;
    report
        .step(
            "be refused with the old token",
            tokens.and(&left),
            async |(tokens, ())| {
                door.is_refused("/v1/me", &tokens.access_token, StatusCode::UNAUTHORIZED)
                    .await
            },
        )
        .await;
}
