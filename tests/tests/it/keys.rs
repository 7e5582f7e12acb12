//! Master keys of files are changed from the command line, while the API goes on.

use plinth_testkit::{Process, Stage};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Answer, Door, count};

const OLD: &str = "2025:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const BOTH: &str =
    "2026:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=,2025:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW: &str = "2026:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

async fn rewrap(stage: &Stage, arguments: &[&str]) -> (bool, Value) {
    let output = Process::run("plinth-worker", &[&["keys", "rewrap"], arguments].concat(), stage).await;
    let line = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.success(), line)
}

#[tokio::test]
async fn a_master_key_is_replaced_and_no_object_is_touched() {
    let stage = Stage::open().await.with("PLINTH_FILES_MASTER_KEYS", OLD);
    let api = Process::api(&stage).await;
    let mails = Process::worker_with(&stage, &["--queues", "email"]).await;
    let person = Door::of(&api).person().await;
    let stores = stage.stores();
    let mut files = Vec::new();
    for n in 0..3 {
        files.push(person.upload("a.txt", format!("text {n}").into_bytes()).await);
    }
    let before = stores.objects.list("blobs/", None).await.expect("lists").objects;
    assert!(api.stop().await.success());

    let stage = stage.with("PLINTH_FILES_MASTER_KEYS", BOTH);
    let (_, counted) = rewrap(&stage, &["--dry-run"]).await;
    assert_eq!((&counted["rewrapped"], &counted["master_key"]), (&json!(3), &json!("2026")));
    let (is_well, done) = rewrap(&stage, &[]).await;
    assert_eq!((is_well, &done["rewrapped"], &done["failed"]), (true, &json!(3), &json!(0)));
    assert_eq!(count(&stores, "SELECT count(*) FROM blobs WHERE master_key <> '2026'").await, 0);
    assert_eq!(stores.objects.list("blobs/", None).await.expect("lists").objects, before);
    let (_, again) = rewrap(&stage, &[]).await;
    assert_eq!(again["rewrapped"], 0);

    // The old key is not needed any more.
    let stage = stage.with("PLINTH_FILES_MASTER_KEYS", NEW);
    let api = Process::api(&stage).await;
    let person = Door::of(&api).log_in(&person.email).await;
    for (n, file) in files.iter().enumerate() {
        let read = Answer::of(person.request(Method::GET, &format!("/v1/files/{file}/content"))).await;
        assert_eq!((read.status, read.bytes), (StatusCode::OK, format!("text {n}").into_bytes()));
    }
    let stage = stage.with("PLINTH_FILES_MASTER_KEYS", "2027:AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=");
    let (is_well, failed) = rewrap(&stage, &[]).await;
    assert_eq!((is_well, &failed["failed"]), (false, &json!(3)), "what does not open is left as it was");
    assert_eq!(count(&stores, "SELECT count(*) FROM blobs WHERE master_key = '2026'").await, 3);
    assert!(api.stop().await.success());
    assert!(mails.stop().await.success());
}
