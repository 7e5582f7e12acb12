//! Removal of metadata from uploads of every kind, if the policy requires it.

use plinth_core::Stores;
use plinth_testkit::{Process, Stage, until};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::house::{Answer, Door, Person, count, lift_idle_timeout, text, until_none};
use crate::picture::{PLACE, UPRIGHT, look, photograph};

const POLICY: &str = "PLINTH_FILES_STRIP_METADATA";
const DIRECT: &str = "PLINTH_FILES_DIRECT_UPLOADS";
const NOT_DONE: &str = "SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'cancelled')";

async fn file(person: &Person, id: Uuid) -> Value {
    person
        .get(&format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::OK)
}

/// Waits until the metadata of a file is processed, and returns the file.
async fn until_settled(person: &Person, id: Uuid) -> Value {
    until("stripping has ended", async || {
        let file = file(person, id).await;
        (file["metadata"]["state"] != "pending").then_some(file)
    })
    .await
}

fn id(file: &Value) -> Uuid {
    text(&file["id"]).parse().expect("an id")
}

/// Uploads a different image in every way that makes a file, and as a version.
async fn by_every_way(person: &Person) -> Vec<(Uuid, Vec<u8>)> {
    let pictures: Vec<_> = (0..5).map(|n| photograph(400 + n, 300)).collect();
    let by_form = person.upload("form.jpg", pictures[0].clone()).await;
    let part = |bytes: &Vec<u8>| Part::bytes(bytes.clone()).file_name("batch.jpg");
    let form = Form::new().part("files", part(&pictures[1]));
    let batch = Answer::of(
        person
            .request(Method::POST, "/v1/files/batch")
            .multipart(form),
    )
    .await;
    let by_batch = id(&batch.expect(StatusCode::CREATED)["items"][0]);
    let by_tus = person.upload_by_tus(pictures[2].clone()).await;
    let directly = directly(person, &pictures[3]).await;
    let with_versions = person
        .upload("plain.txt", b"nothing is in it".to_vec())
        .await;
    let form = Form::new().part("file", part(&pictures[4]));
    let path = format!("/v1/files/{with_versions}/versions");
    Answer::of(person.request(Method::POST, &path).multipart(form))
        .await
        .expect(StatusCode::CREATED);
    [by_form, by_batch, by_tus, directly, with_versions]
        .into_iter()
        .zip(pictures)
        .collect()
}

/// Uploads directly to S3, and waits until a worker has made the file.
async fn directly(person: &Person, bytes: &[u8]) -> Uuid {
    let body = json!({ "filename": "direct.jpg", "size": bytes.len(), "sha256": sha256(bytes) });
    let begun = Answer::of(
        person
            .request(Method::POST, "/v1/direct-uploads")
            .json(&body),
    )
    .await;
    let begun = begun.expect(StatusCode::CREATED);
    let put = &begun["put"];
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let mut request = client.put(text(&put["url"])).body(bytes.to_vec());
    for (name, value) in put["headers"].as_object().expect("headers") {
        request = request.header(name, text(value));
    }
    assert_eq!(
        request.send().await.expect("S3 answers").status(),
        StatusCode::OK
    );
    let path = format!("/v1/direct-uploads/{}", text(&begun["upload"]["id"]));
    let complete = person
        .request(Method::POST, &format!("{path}/complete"))
        .json(&json!({}));
    Answer::of(complete).await.expect(StatusCode::ACCEPTED);
    until("it is verified", async || {
        let upload = person.get(&path).await.expect(StatusCode::OK);
        upload["file_id"]
            .as_str()
            .map(|id| id.parse().expect("an id"))
    })
    .await
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Creates a share link of the file and returns its path.
async fn share(person: &Person, file: Uuid) -> String {
    let link = person
        .request(Method::POST, &format!("/v1/files/{file}/links"))
        .json(&json!({}));
    let url = text(&Answer::of(link).await.expect(StatusCode::CREATED)["url"]);
    url[url.find("/v1/links/").expect("a link")..].to_owned()
}

/// Asserts that no path serves any byte of the file.
async fn refused(person: &Person, file: Uuid, version: i64, status: u16, code: &str) {
    let version = format!("versions/{version}/content");
    for path in ["content", version.as_str(), "variants/small"] {
        person
            .get(&format!("/v1/files/{file}/{path}"))
            .await
            .problem(status, code);
    }
    let path = format!("/v1/files/{file}/content");
    let ranged = person
        .request(Method::GET, &path)
        .header("range", "bytes=0-0");
    Answer::of(ranged).await.problem(status, code);
    let zip = person
        .request(Method::POST, "/v1/files/zip")
        .json(&json!({ "ids": [file] }));
    Answer::of(zip).await.problem(status, code);
    let link = share(person, file).await;
    let shared = Answer::of(person.door.request(Method::GET, &format!("{link}/content"))).await;
    assert_eq!(shared.status, StatusCode::NOT_FOUND);
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// Asserts that the image is the uploaded one, without a location.
async fn assert_clean(person: &Person, id: Uuid, before: &[u8]) {
    let file = file(person, id).await;
    assert_eq!(file["metadata"]["state"], "stripped", "{file}");
    let content = person.get(&format!("/v1/files/{id}/content")).await;
    assert_eq!(content.status, StatusCode::OK);
    let bytes = &content.bytes[..];
    assert!(!holds(bytes, PLACE) && holds(before, PLACE) && bytes.len() < before.len());
    // The size as stored, and as shown.
    assert_eq!(look(bytes), look(before));
    let variant = person.get(&format!("/v1/files/{id}/variants/small")).await;
    assert_eq!(look(&variant.bytes).1, UPRIGHT, "its orientation is kept");
    assert_eq!(file["size"], json!(bytes.len()));
    assert_eq!(text(&file["sha256"]), sha256(bytes));
    assert_eq!(
        content.header("etag"),
        Some(format!("\"{}\"", sha256(bytes)).as_str())
    );
    assert_eq!(file["taken_at"], "2024-05-01T12:33:00", "it is known still");
    let versions = person
        .get(&format!("/v1/files/{id}/versions"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(versions["items"][0]["size"], file["size"]);
}

/// Waits until all jobs are done, and asserts that S3 and PostgreSQL agree and that the usage is
/// right.
async fn assert_in_order(stage: &Stage, stores: &Stores) {
    until_none(stores, "every job is done", NOT_DONE).await;
    let report = reconcile(stage).await;
    for found in [
        "orphan_objects",
        "missing_objects",
        "missing_variants",
        "missing_strips",
        "stuck_uploads",
        "quota_drift",
    ] {
        assert_eq!(report[found], 0, "{report}");
    }
    assert_eq!(
        count(stores, "SELECT count(*) FROM blobs WHERE state <> 'stored'").await,
        0
    );
    assert_eq!(
        count(
            stores,
            "SELECT count(*) FROM storage_usage WHERE reserved <> 0"
        )
        .await,
        0
    );
}

async fn reconcile(stage: &Stage) -> Value {
    let run = Process::run("plinth-worker", &["reconcile", "--read-contents"], stage).await;
    assert!(run.status.success(), "{run:?}");
    serde_json::from_slice(&run.stdout).expect("a line of JSON")
}

#[tokio::test]
async fn an_image_loses_its_metadata_however_it_is_uploaded() {
    let stage = Stage::open()
        .await
        .with(POLICY, "true")
        .with(DIRECT, "true");
    let (api, stores) = (Process::api(&stage).await, stage.stores());
    let _worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    for (id, before) in by_every_way(&person).await {
        until_settled(&person, id).await;
        person.until_ready(id).await;
        assert_clean(&person, id, &before).await;
    }
    assert_in_order(&stage, &stores).await;
    // The same image again is stripped to the same contents, which are stored once.
    let blobs = count(&stores, "SELECT count(*) FROM blobs").await;
    let again = person.upload("again.jpg", photograph(400, 300)).await;
    until_settled(&person, again).await;
    person.until_ready(again).await;
    assert_clean(&person, again, &photograph(400, 300)).await;
    assert_in_order(&stage, &stores).await;
    assert_eq!(count(&stores, "SELECT count(*) FROM blobs").await, blobs);
}

#[tokio::test]
async fn no_image_is_served_before_its_metadata_is_removed() {
    let stage = Stage::open().await.with(POLICY, "true");
    let api = Process::api(&stage).await;
    let person = Door::of(&api).administrator(&stage).await;
    let picture = person.upload("photo.jpg", photograph(400, 300)).await;
    let text = person
        .upload("notes.txt", b"nothing is in it".to_vec())
        .await;
    assert_eq!(file(&person, picture).await["metadata"]["state"], "pending");
    refused(&person, picture, 1, 409, "metadata_not_removed").await;
    let early = person.get(&format!("/v1/files/{picture}/content")).await;
    assert_eq!(early.header("retry-after"), Some("5"));
    assert_eq!(
        person
            .get(&format!("/v1/files/{text}/content"))
            .await
            .status,
        StatusCode::OK
    );
    // A file that is deleted in the meantime.
    let gone = person.upload("gone.jpg", photograph(300, 200)).await;
    let delete = person.request(
        Method::DELETE,
        &format!("/v1/files/{gone}?permanently=true"),
    );
    Answer::of(delete).await.expect(StatusCode::NO_CONTENT);

    let _worker = Process::worker(&stage).await;
    until_settled(&person, picture).await;
    person.until_ready(picture).await;
    assert_clean(&person, picture, &photograph(400, 300)).await;
    assert_in_order(&stage, &stage.stores()).await;
}

#[tokio::test]
async fn an_image_that_cannot_be_stripped_is_withheld_and_has_a_reason() {
    let stage = Stage::open().await.with(POLICY, "true");
    let api = Process::api(&stage).await;
    let _worker = Process::worker(&stage).await;
    let person = Door::of(&api).person().await;
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\0".to_vec();
    let half = photograph(400, 300)[..900].to_vec();
    for (name, bytes, reason) in [
        (
            "phone.heic",
            heic,
            "Metadata cannot be removed from images of this kind.",
        ),
        ("half.jpg", half, "The file ends before the image does."),
    ] {
        let id = person.upload(name, bytes).await;
        let file = until_settled(&person, id).await;
        assert_eq!(file["metadata"]["state"], "failed", "{file}");
        assert!(
            text(&file["metadata"]["reason"]).starts_with(reason),
            "{file}"
        );
        refused(&person, id, 1, 403, "metadata_not_removable").await;
        until("its owner is notified", async || {
            let inbox = person
                .get("/v1/me/notifications")
                .await
                .expect(StatusCode::OK);
            let messages = inbox["items"].as_array().expect("a list").clone();
            messages.into_iter().find(|message| {
                message["kind"] == "file.unavailable" && message["subject"] == id.to_string()
            })
        })
        .await;
    }
    assert_in_order(&stage, &stage.stores()).await;
}

#[tokio::test]
async fn images_from_before_the_policy_are_unchanged_until_an_operator_strips_them() {
    let stage = Stage::open().await;
    let (api, worker) = (Process::api(&stage).await, Process::worker(&stage).await);
    let person = Door::of(&api).person().await;
    let bytes = photograph(400, 300);
    let first = person.upload("photo.jpg", bytes.clone()).await;
    person.until_ready(first).await;
    assert_eq!(file(&person, first).await["metadata"]["state"], "kept");
    let content = format!("/v1/files/{first}/content");
    assert!(
        person.get(&content).await.bytes == bytes,
        "not a byte is another"
    );
    let other = person.upload("other.jpg", photograph(200, 100)).await;
    person.until_ready(other).await;
    assert!(worker.stop().await.success());

    let stage = stage.with(POLICY, "true");
    let (api, stores) = (Process::api(&stage).await, stage.stores());
    let person = Door::of(&api).log_in(&person.email).await;
    assert!(
        person.get(&content).await.bytes == bytes,
        "no operator has enqueued stripping yet"
    );
    // The same contents again: under the policy no file serves them.
    let second = person.upload("again.jpg", bytes.clone()).await;
    for id in [first, second] {
        refused(&person, id, 1, 409, "metadata_not_removed").await;
    }
    let output = Process::run("plinth-worker", &["strip", "--kept"], &stage).await;
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{\"asked_again\":0,\"kept\":1}\n",
        "{output:?}"
    );
    let _worker = Process::worker(&stage).await;
    for (id, before) in [
        (first, &bytes),
        (second, &bytes),
        (other, &photograph(200, 100)),
    ] {
        until("the image is stripped", async || {
            (file(&person, id).await["metadata"]["state"] == "stripped").then_some(())
        })
        .await;
        person.until_ready(id).await;
        assert_clean(&person, id, before).await;
    }
    assert_in_order(&stage, &stores).await;
}

#[tokio::test]
async fn a_worker_killed_before_it_replaces_a_stripped_image_leaves_no_objects_behind() {
    let stage = Stage::open()
        .await
        .with(POLICY, "true")
        .with("PLINTH_FILES_ABANDONED_AFTER", "1s")
        .with("PLINTH_WORKER_SCHEDULE", "");
    let (api, stores) = (Process::api(&stage).await, stage.stores());
    let person = Door::of(&api).administrator(&stage).await;
    let id = person.upload("photo.jpg", photograph(400, 300)).await;
    // The new object is stored, and its transaction does not commit.
    let mut obstacle = stores.db.begin().await.expect("begins");
    lift_idle_timeout(&mut obstacle).await;
    sqlx::query("LOCK TABLE audit_events IN EXCLUSIVE MODE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let worker = Process::worker(&stage).await;
    until("the new object is stored", async || {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'plinth-worker' AND wait_event_type = 'Lock'";
        (count(&stores, waits).await == 1).then_some(())
    })
    .await;
    assert_eq!(
        count(
            &stores,
            "SELECT count(*) FROM blobs WHERE state = 'receiving'"
        )
        .await,
        1
    );
    worker.kill().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'plinth-worker'";
    sqlx::query(end)
        .execute(&stores.db)
        .await
        .expect("terminates");
    obstacle.rollback().await.expect("ends");
    refused(&person, id, 1, 409, "metadata_not_removed").await;

    sqlx::query("UPDATE jobs SET lease_until = now() WHERE lease_until IS NOT NULL")
        .execute(&stores.db)
        .await
        .expect("updates");
    let _worker = Process::worker(&stage).await;
    until_settled(&person, id).await;
    person.until_ready(id).await;
    assert_clean(&person, id, &photograph(400, 300)).await;
    until_none(&stores, "every job is done", NOT_DONE).await;
    sqlx::query("UPDATE blobs SET updated_at = now() - interval '1 minute'")
        .execute(&stores.db)
        .await
        .expect("updates");
    assert_eq!(
        reconcile(&stage).await["stuck_uploads"],
        1,
        "what the dead one was about to keep"
    );
    assert_in_order(&stage, &stores).await;
}
