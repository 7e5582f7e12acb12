//! Upload clients in pages of another origin than the API.

use std::path::Path;

use plinth_testkit::{Answer, Process, Services, Stage};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use super::chromium::Chromium;
use super::site::Site;
use crate::house::{Door, PASSWORD, Person};

const NAME: &str = "Grüße 日本語 \"😀\".bin";

/// The clients of `browser.js` that succeed.
const CLIENTS: [&str; 6] = [
    "uppyXhr",
    "uppyTus",
    "tusJs",
    "tusJsStream",
    "filePond",
    "form",
];

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

/// A page of another origin with the clients, an API that allows it, and a user.
struct Page {
    browser: Chromium,
    site: Site,
    /// The API under the site of the page, so that the browser sends cookies to it.
    api_url: String,
    api: Process,
    mails: Process,
    person: Person,
    _stage: Stage,
}

impl Page {
    /// Returns `None` without Chromium.
    async fn open() -> Option<Self> {
        let Some(program) = Services::get().chromium.as_deref() else {
            eprintln!("SKIPPED: chromium is not installed");
            return None;
        };
        let site = Site::open().await;
        let stage = Stage::open()
            .await
            .with("PLINTH_API_CORS_ORIGINS", &site.origin);
        let (api, mails) = tokio::join!(
            Process::api(&stage),
            Process::worker_with(&stage, &["--queues", "email"])
        );
        let mut page = Self {
            browser: Chromium::start(program).await,
            site,
            api_url: api.url.replace("127.0.0.1", "localhost"),
            person: Door::of(&api).person().await,
            api,
            mails,
            _stage: stage,
        };
        page.load().await;
        Some(page)
    }

    /// Loads or reloads the page.
    async fn load(&mut self) {
        self.browser.open(&self.site.page(&self.api_url)).await;
        let loaded = self.browser.evaluate(&script().await).await;
        loaded.expect("the clients are loaded");
    }

    fn bearer(&self) -> Value {
        json!({ "token": self.person.access_token })
    }

    /// Logs in within the browser, with the session in cookies.
    async fn log_in(&mut self) -> Value {
        let arguments = json!([self.api_url, self.person.email, PASSWORD]);
        let script = format!("logIn(...{arguments})");
        let credentials = self.browser.evaluate(&script).await;
        credentials.expect("the session is in cookies")
    }

    /// Uploads with a client. Returns the id of the file, or the client's message.
    async fn upload(
        &mut self,
        client: &str,
        credentials: &Value,
        size: usize,
    ) -> Result<String, String> {
        let arguments = json!([client, self.api_url, credentials, NAME, size]);
        let script = format!("upload(...{arguments})");
        let id = self.browser.evaluate(&script).await?;
        id.as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("{client} has no id: {id}"))
    }

    /// Asserts that a file has the name and the content that was uploaded.
    async fn assert_uploaded(&self, id: &str, size: usize) {
        let path = format!("/v1/files/{id}");
        let file = self.person.get(&path).await.expect(StatusCode::OK);
        assert_eq!(file["name"], NAME);
        let content = self.person.request(Method::GET, &format!("{path}/content"));
        let sent = (0..size).map(|place| u8::try_from(place & 255).expect("a byte"));
        assert!(Answer::of(content).await.bytes.into_iter().eq(sent));
    }

    async fn close(self) {
        assert!(self.api.stop().await.success());
        assert!(self.mails.stop().await.success());
    }
}

#[tokio::test]
async fn browser_clients_upload_with_their_default_settings() {
    let Some(mut page) = Page::open().await else {
        return;
    };
    for credentials in [page.bearer(), page.log_in().await] {
        for client in CLIENTS {
            for size in [0, 300_001] {
                let id = page.upload(client, &credentials, size).await;
                let id = id.unwrap_or_else(|error| panic!("{client}, {size} bytes: {error}"));
                page.assert_uploaded(&id, size).await;
            }
        }
    }
    let parallel = page.upload("tusJsParallel", &page.bearer(), 300_001).await;
    let refused = parallel.expect_err("uploads are not joined");
    assert!(
        refused.contains("Send the file as one upload, without parallel ones."),
        "{refused}"
    );
    page.close().await;
}

#[tokio::test]
async fn cookies_without_the_csrf_token_upload_nothing() {
    let Some(mut page) = Page::open().await else {
        return;
    };
    page.log_in().await;
    for client in CLIENTS {
        let refused = page.upload(client, &json!({ "csrf": "guessed" }), 9).await;
        refused.expect_err(client);
    }
    let files = page.person.get("/v1/files").await.expect(StatusCode::OK);
    assert_eq!(files["items"], json!([]));
    page.close().await;
}

#[tokio::test]
async fn an_upload_continues_after_its_page_was_reloaded() {
    const SIZE: usize = 1_000_001;
    let Some(mut page) = Page::open().await else {
        return;
    };
    let credentials = page.log_in().await;
    let arguments = json!([page.api_url, credentials, NAME, SIZE]);
    let begin = format!("begin(...{arguments})");
    let accepted = page.browser.evaluate(&begin).await;
    let accepted = accepted.expect("a part is accepted");
    let accepted = accepted.as_u64().expect("bytes");
    page.load().await;
    let resume = format!("resume(...{arguments})");
    let resumed = page.browser.evaluate(&resume).await;
    let resumed = resumed.expect("the rest is accepted");
    let first = resumed["first"].as_u64().expect("bytes");
    assert!(first > accepted, "{first} after {accepted} bytes");
    page.assert_uploaded(resumed["id"].as_str().expect("an id"), SIZE)
        .await;
    let files = page.person.get("/v1/files").await.expect(StatusCode::OK);
    assert_eq!(files["items"].as_array().map(Vec::len), Some(1), "{files}");
    page.close().await;
}
