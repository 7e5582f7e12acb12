//! Upload clients that pages use, from another origin than the API's.

use std::path::Path;

use plinth_testkit::{Answer, Process, Services, Stage};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::process::Command;

use super::chromium::Chromium;
use super::site::Site;
use crate::house::{Door, Person};

const NAME: &str = "Grüße 日本語 \"😀\".bin";

/// The clients as one script for a page.
async fn script() -> String {
    let services = Services::get();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/browser.js");
    let mut bundler = Command::new(&services.node);
    bundler
        .arg(services.node_modules.join("esbuild/bin/esbuild"))
        .arg(source);
    bundler
        .args(["--bundle", "--log-level=warning"])
        .env("NODE_PATH", &services.node_modules);
    let made = bundler.output().await.expect("node starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    String::from_utf8(made.stdout).expect("a script is text")
}

/// Uploads with a client; the file's id, or what the client shows.
async fn upload(
    browser: &mut Chromium,
    client: &str,
    api: &Process,
    person: &Person,
    size: usize,
) -> Result<String, String> {
    let arguments = json!([client, api.url, person.access_token, NAME, size]);
    let id = browser.evaluate(&format!("upload(...{arguments})")).await?;
    id.as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{client} is told no id: {id}"))
}

#[tokio::test]
async fn clients_of_pages_upload_with_their_stock_settings() {
    let Some(program) = Services::get().chromium.as_deref() else {
        eprintln!("SKIPPED: chromium is not installed");
        return;
    };
    let site = Site::open().await;
    let stage = Stage::open()
        .await
        .with("PLINTH_API_CORS_ORIGINS", &site.origin);
    let (api, mails) = tokio::join!(
        Process::api(&stage),
        Process::worker_with(&stage, &["--queues", "email"])
    );
    let person = Door::of(&api).person().await;
    let mut browser = Chromium::start(program).await;
    browser.open(&site.page(&api.url)).await;
    browser
        .evaluate(&script().await)
        .await
        .expect("the clients are loaded");

    for client in [
        "uppyXhr",
        "uppyTus",
        "tusJs",
        "tusJsStream",
        "filePond",
        "form",
    ] {
        for size in [0, 300_001] {
            let id = upload(&mut browser, client, &api, &person, size).await;
            let id = id.unwrap_or_else(|error| panic!("{client}, {size} bytes: {error}"));
            let file = person
                .get(&format!("/v1/files/{id}"))
                .await
                .expect(StatusCode::OK);
            assert_eq!(file["name"], NAME, "{client}");
            let read =
                Answer::of(person.request(Method::GET, &format!("/v1/files/{id}/content"))).await;
            let sent = (0..size).map(|place| u8::try_from(place & 255).expect("a byte"));
            assert!(read.bytes.into_iter().eq(sent), "{client}, {size} bytes");
        }
    }
    let refused = upload(&mut browser, "tusJsParallel", &api, &person, 300_001).await;
    let refused = refused.expect_err("uploads are not joined");
    assert!(
        refused.contains("Send the file as one upload, without parallel ones."),
        "{refused}"
    );
    assert!(api.stop().await.success());
    assert!(mails.stop().await.success());
}
