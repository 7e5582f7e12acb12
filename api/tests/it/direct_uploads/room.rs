//! Declared bytes are reserved, and released if the upload does not complete.

use plinth_testkit::Stage;
use reqwest::StatusCode;
use serde_json::json;

use super::{
    DIRECT, PART, assert_usage, begin, clean_up, declaration, open, path, send, uploaded, verify,
};
use crate::files::{content, pattern};
use crate::house::{House, PASSWORD, text};

#[tokio::test]
async fn declared_bytes_are_reserved_at_once_even_for_concurrent_uploads() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_DIRECT_UPLOADS", "true");
    let house = House::on(
        stage
            .with("PLINTH_FILES_QUOTA", "1MiB")
            .with("PLINTH_FILES_MAX_SIZE", "1MiB"),
    )
    .await;
    let person = house.person("ada").await;
    let declaration = declaration("a.bin", &pattern(100 * 1024));
    let begins = (0..50).map(|_| person.post(&house, DIRECT, &declaration));
    let answers = futures_util::future::join_all(begins).await;
    let begun: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::CREATED)
        .collect();
    assert_eq!(begun.len(), 10, "as many as fit into the quota");
    for refused in answers
        .iter()
        .filter(|answer| answer.status != StatusCode::CREATED)
    {
        refused.problem(409, "quota_exceeded");
    }
    assert_usage(&house, 0, 10 * 100 * 1024, 0).await;
    for answer in begun {
        person
            .delete(&house, &path(&answer.json()))
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    assert_usage(&house, 0, 0, 0).await;
    assert_eq!(
        (
            house.count("blobs").await,
            house.count("direct_uploads").await
        ),
        (0, 0)
    );
    let mut large = declaration;
    large["size"] = json!(1024 * 1024 + 1);
    person
        .post(&house, DIRECT, &large)
        .await
        .problem(413, "too_large");
}

#[tokio::test]
async fn an_account_at_its_file_limit_can_start_no_upload() {
    let stage = Stage::open()
        .await
        .with("PLINTH_FILES_DIRECT_UPLOADS", "true");
    let house = House::on(stage.with("PLINTH_FILES_MAX_COUNT", "1")).await;
    let person = house.person("ada").await;
    let begun = begin(&house, &person, "late.txt", b"late").await;
    assert_eq!(
        send(&house, &begun["put"], b"late".to_vec()).await,
        StatusCode::OK
    );
    person.upload(&house, "first.txt", b"first".to_vec()).await;
    person
        .post(&house, DIRECT, &declaration("a.txt", b"a"))
        .await
        .problem(409, "quota_exceeded");
    // An upload that started below the limit is refused at the limit.
    person
        .post(&house, &format!("{}/complete", path(&begun)), &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    verify(&house).await;
    let upload = person
        .get(&house, &path(&begun))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&upload["state"], &upload["reason"]),
        (&json!("refused"), &json!("quota_exceeded"))
    );
    assert_usage(&house, 5, 0, 1).await;
}

#[tokio::test]
async fn stalled_uploads_are_removed_and_ended_ones_are_forgotten() {
    let house = open().await;
    let person = house.person("ada").await;
    let waiting = begin(&house, &person, "a.bin", &pattern(PART + 1)).await;
    let sent = begin(&house, &person, "b.txt", b"sent").await;
    assert_eq!(
        send(&house, &sent["put"], b"sent".to_vec()).await,
        StatusCode::OK
    );
    let done = uploaded(&house, &person, "c.txt", b"done").await;
    let complete = begin(&house, &person, "d.txt", b"complete").await;
    assert_eq!(
        send(&house, &complete["put"], b"complete".to_vec()).await,
        StatusCode::OK
    );
    let said = format!("{}/complete", path(&complete));
    person
        .post(&house, &said, &json!({}))
        .await
        .expect(StatusCode::ACCEPTED);

    house.stores.clock.advance(time::Duration::hours(25));
    assert_eq!(clean_up(&house).await, 2);
    assert_eq!(
        house.count("direct_uploads").await,
        1,
        "the upload that waits for the worker"
    );
    assert_usage(&house, 4, 8, 1).await;
    house.stores.clock.advance(time::Duration::days(7));
    assert_eq!(clean_up(&house).await, 1);
    assert_eq!(house.count("direct_uploads").await, 0);
    assert_usage(&house, 4, 0, 1).await;
    let key = format!("blobs/{}/content", text(&sent["upload"]["id"]));
    assert_eq!(
        house.stores.objects.size(&key).await.expect("answers"),
        None
    );
    let person = person.with(&house.log_in(&person.email, PASSWORD).await.json());
    for begun in [&waiting, &sent] {
        person
            .get(&house, &path(begun))
            .await
            .problem(404, "not_found");
    }
    assert_eq!(
        content(&house, &person, &text(&done["file_id"]), &[])
            .await
            .bytes,
        b"done"
    );
}
