//! tus clients of other authors upload, are killed, and continue as another process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use plinth_testkit::{Answer, PATIENCE, Process, Services, Stage};
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::house::{Door, Person};

const SIZE: usize = 20 * 1024 * 1024 + 7;

/// The tus clients.
#[derive(Clone, Copy)]
enum Tus {
    /// npm's tus-js-client.
    Js,
    /// PyPI's tuspy.
    Py,
}

/// A file, and the folder in which a client keeps its state.
struct Desk {
    folder: TempDir,
    bytes: Vec<u8>,
}

impl Desk {
    fn with(size: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..size)
            .map(|n| u8::try_from((n ^ (n >> 8) ^ (n >> 16)) & 255).expect("a byte"))
            .collect();
        std::fs::write(folder.path().join("file"), &bytes).expect("writes");
        Self { folder, bytes }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Tus {
    fn command(self, api: &Process, person: &Person, desk: &Desk, options: &Value) -> Command {
        let services = Services::get();
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let (program, script) = match self {
            Self::Js => (&services.node, scripts.join("node/tus.js")),
            Self::Py => (&services.python_clients, scripts.join("python/tus.py")),
        };
        let mut command = Command::new(program);
        command
            .arg(script)
            .arg(format!("{}/v1/uploads", api.url))
            .arg(&person.access_token)
            .args([desk.path("file"), desk.path("kept")])
            .arg(options.to_string())
            .env("NODE_PATH", &services.node_modules)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the client until it prints this, kills it, and returns its output.
    async fn run(
        self,
        api: &Process,
        person: &Person,
        desk: &Desk,
        options: &Value,
        enough: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut client = self
            .command(api, person, desk, options)
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(client.stdout.take().expect("is piped")).lines();
        let mut said = Vec::new();
        let listening = async {
            while let Some(line) = lines.next_line().await.expect("a text") {
                said.push(line);
                if said.last().is_some_and(|line| enough(line)) {
                    client.kill().await.expect("it runs");
                    break;
                }
            }
            client.wait().await.expect("it ended")
        };
        tokio::time::timeout(PATIENCE, listening)
            .await
            .expect("it ends in time");
        said
    }
}

/// Returns the number of accepted bytes in a line of output.
fn accepted(line: &str) -> usize {
    line.strip_prefix("accepted ")
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or(0)
}

fn never(_: &str) -> bool {
    false
}

async fn content(person: &Person, said: &[String]) -> Vec<u8> {
    let file = said
        .last()
        .and_then(|line| line.strip_prefix("done "))
        .expect("it has become a file");
    let description = person
        .get(&format!("/v1/files/{file}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(description["name"], "Grüße.bin");
    let read = Answer::of(person.request(Method::GET, &format!("/v1/files/{file}/content"))).await;
    assert_eq!(read.status, StatusCode::OK);
    read.bytes
}

/// An API, a worker for mails, and a user who is logged in.
async fn open(stage: &Stage) -> (Process, Process, Person) {
    let (api, mails) = tokio::join!(
        Process::api(stage),
        Process::worker_with(stage, &["--queues", "email"])
    );
    let person = Door::of(&api).person().await;
    (api, mails, person)
}

#[rstest]
#[case::tus_js_client(Tus::Js, json!({}))]
#[case::tus_js_client_with_bytes_at_once(Tus::Js, json!({ "uploadDataDuringCreation": true }))]
#[case::tuspy(Tus::Py, json!({}))]
#[case::tuspy_with_checksums(Tus::Py, json!({ "upload_checksum": true }))]
#[tokio::test]
async fn a_killed_client_resumes_its_upload_without_changed_bytes(
    #[case] tus: Tus,
    #[case] options: Value,
) {
    let stage = Stage::open().await;
    let (api, mails, person) = open(&stage).await;
    let desk = Desk::with(SIZE);
    // Within the second part of 8 MiB.
    let half = |line: &str| accepted(line) > SIZE / 2;
    let first = tus.run(&api, &person, &desk, &options, half).await;
    let kept = first.last().map_or(0, |line| accepted(line));
    assert!(
        kept > SIZE / 2 && kept < SIZE,
        "it was killed on its way: {first:?}"
    );
    let second = tus.run(&api, &person, &desk, &options, never).await;
    assert_eq!(
        second.first().map(String::as_str),
        Some("resumed"),
        "{second:?}"
    );
    let went_on = second
        .iter()
        .map(|line| accepted(line))
        .find(|bytes| *bytes > 0);
    assert!(
        went_on.is_some_and(|bytes| bytes > kept),
        "what was accepted is not sent again: {second:?}"
    );
    assert!(content(&person, &second).await == desk.bytes);
    let files = person.get("/v1/files").await.expect(StatusCode::OK);
    assert_eq!(files["items"].as_array().map(Vec::len), Some(1), "{files}");
    assert!(api.stop().await.success());
    assert!(mails.stop().await.success());
}

#[tokio::test]
async fn a_client_that_concatenates_uploads_is_refused_at_once_and_leaves_nothing() {
    let stage = Stage::open().await;
    let (api, mails, person) = open(&stage).await;
    let desk = Desk::with(1000);
    let said = Tus::Js
        .run(
            &api,
            &person,
            &desk,
            &json!({ "parallelUploads": 2 }),
            never,
        )
        .await;
    assert_eq!(said, ["refused 422"]);
    let files = person.get("/v1/files").await.expect(StatusCode::OK);
    assert_eq!(files["items"], json!([]));
    let left = "SELECT count(*) FROM blobs";
    assert_eq!(crate::house::count(&stage.stores(), left).await, 0);
    assert!(api.stop().await.success());
    assert!(mails.stop().await.success());
}
