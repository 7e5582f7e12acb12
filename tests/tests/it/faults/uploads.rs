//! Uploads and `kill -9`: no accepted byte is lost, and no orphan is left.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use plinth_testkit::{Process, Stage, until};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::house::{Answer, Door, Person};

const MIB: usize = 1024 * 1024;

fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|n| u8::try_from((n ^ (n >> 8) ^ (n >> 16)) & 255).expect("a byte"))
        .collect()
}

/// A body of MiB chunks, with the number of chunks that the client's connection has taken.
fn counted(bytes: &[u8]) -> (Body, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let pieces: Vec<Vec<u8>> = bytes.chunks(MIB).map(<[u8]>::to_vec).collect();
    let count = sent.clone();
    let pieces = pieces.into_iter().inspect(move |piece| {
        count.fetch_add(piece.len(), Ordering::Relaxed);
    });
    (
        Body::wrap_stream(stream::iter(pieces.map(Ok::<_, io::Error>))),
        sent,
    )
}

fn tus(person: &Person, method: Method, path: &str) -> RequestBuilder {
    person
        .request(method, path)
        .header("tus-resumable", "1.0.0")
}

/// Returns the offset of the upload, and its file once it exists.
async fn store_state(person: &Person, path: &str) -> (usize, Option<String>) {
    let answer = Answer::of(tus(person, Method::HEAD, path)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let offset = answer
        .header("upload-offset")
        .expect("an offset")
        .parse()
        .expect("a number");
    (offset, answer.header("plinth-file-id").map(str::to_owned))
}

/// Returns the findings of a reconciliation that treats every stalled upload as abandoned.
async fn reconcile(stage: &Stage) -> Value {
    let output = Process::run("plinth-worker", &["reconcile", "--read-contents"], stage).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a line of JSON")
}

#[tokio::test]
async fn an_upload_continues_even_if_its_api_is_killed_repeatedly() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_ABANDONED_AFTER", "1s");
    let mut api = Process::api(&stage).await;
    let mails = Process::worker_with(&stage, &["--queues", "email"]).await;
    let mut person = Door::of(&api).person().await;
    let bytes = pattern(26 * MIB + 77);
    let begun = tus(&person, Method::POST, "/v1/uploads").header("upload-length", bytes.len());
    let begun = Answer::of(begun).await;
    let path = begun.header("location").expect("a place").to_owned();
    let (mut at, mut lost) = (0, 0);
    // Within the first part, at its end, in the middle, with the last byte, and never.
    for more in [3 * MIB, 8 * MIB, 12 * MIB, bytes.len(), usize::MAX] {
        let (body, sent) = counted(&bytes[at..]);
        let request = tus(&person, Method::PATCH, &path)
            .header("upload-offset", at)
            .header("content-type", "application/offset+octet-stream")
            .body(body);
        let sending = tokio::spawn(request.send());
        let enough = more.min(bytes.len() - at);
        until("the client has sent enough or has ended", async || {
            (sent.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
        if more == usize::MAX {
            let answer = sending.await.expect("no panic").expect("an answer");
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        } else {
            api.kill().await;
            sending.abort();
            api = Process::api(&stage).await;
            person = Door::of(&api).log_in(&person.email).await;
        }
        let (kept, file) = store_state(&person, &path).await;
        assert!(kept >= at, "what was accepted is not lost: {kept} of {at}");
        lost += usize::from(kept < at + enough);
        at = kept;
        if file.is_some() {
            break;
        }
    }
    let (_, file) = store_state(&person, &path).await;
    let file = file.expect("it has become a file");
    let read = Answer::of(person.request(Method::GET, &format!("/v1/files/{file}/content"))).await;
    assert!(read.bytes == bytes);
    assert!(lost > 0, "no kill came in the middle of anything");
    let report = reconcile(&stage).await;
    for nothing in [
        "orphan_objects",
        "missing_objects",
        "wrong_sizes",
        "replaced_objects",
        "broken_contents",
        "quota_drift",
    ] {
        assert_eq!(report[nothing], 0, "{report}");
    }
    assert!(api.stop().await.success());
    assert!(mails.stop().await.success());
}

#[tokio::test]
async fn the_remains_of_a_form_of_a_killed_api_are_removed() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_ABANDONED_AFTER", "1s");
    let mails = Process::worker_with(&stage, &["--queues", "email"]).await;
    let mut api = Process::api(&stage).await;
    let person = Door::of(&api).person().await;
    let bytes = pattern(20 * MIB);
    for enough in [0, MIB, 9 * MIB, 20 * MIB] {
        let person = Door::of(&api).log_in(&person.email).await;
        let (body, sent) = counted(&bytes);
        let form = Form::new().part("file", Part::stream(body).file_name("a.bin"));
        let sending = tokio::spawn(
            person
                .request(Method::POST, "/v1/files")
                .multipart(form)
                .send(),
        );
        until("the client has sent enough", async || {
            (sent.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
        api.kill().await;
        sending.abort();
        api = Process::api(&stage).await;
    }
    let stores = stage.stores();
    // The remains are older than a second.
    until("no stalled upload is left", async || {
        let report = reconcile(&stage).await;
        assert_eq!(
            (&report["missing_objects"], &report["orphan_objects"]),
            (&0.into(), &0.into()),
            "{report}"
        );
        let left = "SELECT count(*) FROM blobs WHERE state <> 'stored'";
        (crate::house::count(&stores, left).await == 0).then_some(())
    })
    .await;
    let blobs = crate::house::count(&stores, "SELECT count(*) FROM blobs").await;
    let objects = stores
        .objects
        .list("blobs/", None)
        .await
        .expect("lists")
        .objects;
    assert_eq!(
        i64::try_from(objects.len()).expect("few"),
        blobs,
        "{objects:?}"
    );
    let person = Door::of(&api).log_in(&person.email).await;
    let files = person.get("/v1/files").await.expect(StatusCode::OK);
    for file in files["items"].as_array().expect("items") {
        assert_eq!(file["size"], bytes.len(), "a file is whole or is none");
    }
    assert!(api.stop().await.success());
    assert!(mails.stop().await.success());
}
