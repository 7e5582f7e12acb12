//! Bytes that fail verification never become a file.

use std::collections::HashSet;

use plinth_core::files::{DirectVerification, Files, Limits};
use plinth_domain::id::BlobId;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PART, assert_usage, begin, open, path, purge, send, verify};
use crate::files::{content, pattern};
use crate::house::text;

#[tokio::test]
async fn wrong_bytes_leave_only_the_reason() {
    let house = open().await;
    let person = house.person("ada").await;
    for (stored, reason) in [
        (b"other".as_slice(), "wrong_checksum"),
        (b"longer", "wrong_size"),
        (b"", "wrong_size"),
    ] {
        let begun = begin(&house, &person, "a.txt", b"bytes").await;
        let id: Uuid = text(&begun["upload"]["id"]).parse().expect("an id");
        let key = format!("blobs/{id}/content");
        // By a store that does not verify the signed headers.
        house
            .stores
            .objects
            .put(&key, stored.to_vec().into(), "text/plain")
            .await
            .expect("is written");
        let complete = format!("{}/complete", path(&begun));
        person
            .post(&house, &complete, &json!({}))
            .await
            .expect(StatusCode::ACCEPTED);
        verify(&house).await;
        purge(&house).await;
        let upload = person
            .get(&house, &path(&begun))
            .await
            .expect(StatusCode::OK);
        assert_eq!(
            (&upload["state"], &upload["reason"]),
            (&json!("refused"), &json!(reason))
        );
        assert_eq!(upload["file_id"], Value::Null);
        person
            .post(&house, &complete, &json!({}))
            .await
            .problem(409, "upload_over");
        assert_eq!(
            house.stores.objects.size(&key).await.expect("answers"),
            None
        );
        assert_usage(&house, 0, 0, 0).await;
    }
    assert_eq!(
        (house.count("blobs").await, house.count("files").await),
        (0, 0)
    );
    let refused =
        "audit_events WHERE action = 'file.direct_upload_refused' AND outcome = 'refused'";
    assert_eq!(house.count(refused).await, 3);
}

#[tokio::test]
async fn the_object_store_refuses_undeclared_bytes() {
    let house = open().await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "a.txt", b"bytes").await;
    assert_ne!(
        send(&house, &begun["put"], b"longer".to_vec()).await,
        StatusCode::OK
    );
    person
        .post(&house, &format!("{}/complete", path(&begun)), &json!({}))
        .await
        .problem(409, "not_uploaded");
    assert_ne!(
        send(&house, &begun["put"], b"other".to_vec()).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_signed_request_that_is_still_valid_cannot_change_verified_bytes() {
    let house = open().await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "a.txt", b"bytes").await;
    assert_eq!(
        send(&house, &begun["put"], b"bytes".to_vec()).await,
        StatusCode::OK
    );
    assert_eq!(
        send(&house, &begun["put"], b"bytes".to_vec()).await,
        StatusCode::PRECONDITION_FAILED
    );
    person
        .post(&house, &format!("{}/complete", path(&begun)), &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    verify(&house).await;
    assert_eq!(
        send(&house, &begun["put"], b"other".to_vec()).await,
        StatusCode::PRECONDITION_FAILED
    );
    let id = text(&person.get(&house, &path(&begun)).await.json()["file_id"]);
    assert_eq!(content(&house, &person, &id, &[]).await.bytes, b"bytes");

    // Someone with the keys of the bucket can; then the file is not served.
    let key = format!("blobs/{}/content", text(&begun["upload"]["id"]));
    house
        .stores
        .objects
        .put(&key, b"other".to_vec().into(), "text/plain")
        .await
        .expect("is written");
    content(&house, &person, &id, &[])
        .await
        .problem(500, "internal");
}

#[tokio::test]
async fn an_upload_that_is_completed_twice_concurrently_is_verified_once() {
    let house = open().await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "a.txt", b"bytes").await;
    assert_eq!(
        send(&house, &begun["put"], b"bytes".to_vec()).await,
        StatusCode::OK
    );
    let (complete, nothing) = (format!("{}/complete", path(&begun)), json!({}));
    let answers = (0..8).map(|_| person.post(&house, &complete, &nothing));
    let answers = futures_util::future::join_all(answers).await;
    let jobs: HashSet<String> = answers
        .into_iter()
        .map(|answer| text(&answer.expect(StatusCode::ACCEPTED)["job_id"]))
        .collect();
    assert_eq!(jobs.len(), 1);
    assert_eq!(house.count("jobs WHERE kind = 'files.verify'").await, 1);
    verify(&house).await;
    let done = person
        .post(&house, &complete, &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    assert_eq!(done["state"], "done");
    assert_eq!(house.count("files").await, 1);
}

#[tokio::test]
async fn a_verification_resumes_after_a_crash() {
    let house = open().await;
    let person = house.person("ada").await;
    // More than what is read between two checkpoints.
    let bytes = pattern(64 * 1024 * 1024 + 1_000);
    let begun = begin(&house, &person, "large.bin", &bytes).await;
    let signed = json!({ "numbers": [1, 2, 3, 4, 5] });
    let signed = person
        .post(&house, &format!("{}/parts", path(&begun)), &signed)
        .await
        .json();
    for (part, bytes) in signed["items"]
        .as_array()
        .expect("parts")
        .iter()
        .zip(bytes.chunks(PART))
    {
        assert_eq!(send(&house, part, bytes.to_vec()).await, StatusCode::OK);
    }
    person
        .post(&house, &format!("{}/complete", path(&begun)), &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    let settings = house.stage.settings().files;
    let files = Files::new(&house.stores, Limits::of(&settings), &settings.presets);
    let id = BlobId(text(&begun["upload"]["id"]).parse().expect("an id"));
    let mut killed = DirectVerification::new(&house.stores, &files)
        .begin(id)
        .await
        .expect("begins")
        .expect("is due");
    assert_eq!(killed.step().await.expect("reads"), Some(99));
    drop(killed);
    let mut next = DirectVerification::new(&house.stores, &files)
        .begin(id)
        .await
        .expect("begins")
        .expect("is due");
    assert_eq!(next.step().await.expect("reads"), Some(100));
    assert_eq!(
        next.step().await.expect("reads"),
        None,
        "only the rest is read"
    );
    next.finish().await.expect("ends");
    let upload = person
        .get(&house, &path(&begun))
        .await
        .expect(StatusCode::OK);
    assert_eq!(upload["state"], "done");
}

#[tokio::test]
async fn an_upload_that_is_abandoned_during_verification_leaves_nothing() {
    let house = open().await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "a.txt", b"bytes").await;
    assert_eq!(
        send(&house, &begun["put"], b"bytes".to_vec()).await,
        StatusCode::OK
    );
    person
        .post(&house, &format!("{}/complete", path(&begun)), &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    let settings = house.stage.settings().files;
    let files = Files::new(&house.stores, Limits::of(&settings), &settings.presets);
    let id = BlobId(text(&begun["upload"]["id"]).parse().expect("an id"));
    let verification = DirectVerification::new(&house.stores, &files);
    let mut verifying = verification
        .begin(id)
        .await
        .expect("begins")
        .expect("is due");
    assert_eq!(verifying.step().await.expect("reads"), Some(100));
    person
        .delete(&house, &path(&begun))
        .await
        .expect(StatusCode::NO_CONTENT);
    verifying.finish().await.expect("ends");
    person
        .get(&house, &path(&begun))
        .await
        .problem(404, "not_found");
    assert_eq!(
        (house.count("blobs").await, house.count("files").await),
        (0, 0)
    );
    assert_usage(&house, 0, 0, 0).await;
}
