//! What is announced is set aside, and given back where nothing comes of it.

use plinth_testkit::Stage;
use reqwest::StatusCode;
use serde_json::json;

use super::{
    DIRECT, PART, announced, begin, clean_up, is_counted, open, path, send, uploaded, verify,
};
use crate::files::{content, pattern};
use crate::house::{House, PASSWORD, text};

#[tokio::test]
async fn what_is_announced_is_set_aside_at_once_however_many_announce() {
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
    let announced = announced("a.bin", &pattern(100 * 1024));
    let begins = (0..50).map(|_| person.post(&house, DIRECT, &announced));
    let answers = futures_util::future::join_all(begins).await;
    let begun: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::CREATED)
        .collect();
    assert_eq!(begun.len(), 10, "as many as there is room for");
    for refused in answers
        .iter()
        .filter(|answer| answer.status != StatusCode::CREATED)
    {
        refused.problem(409, "quota_exceeded");
    }
    is_counted(&house, 0, 10 * 100 * 1024, 0).await;
    for answer in begun {
        person
            .delete(&house, &path(&answer.json()))
            .await
            .expect(StatusCode::NO_CONTENT);
    }
    is_counted(&house, 0, 0, 0).await;
    assert_eq!(
        (
            house.count("blobs").await,
            house.count("direct_uploads").await
        ),
        (0, 0)
    );
    let mut large = announced;
    large["size"] = json!(1024 * 1024 + 1);
    person
        .post(&house, DIRECT, &large)
        .await
        .problem(413, "too_large");
}

#[tokio::test]
async fn an_account_with_all_the_files_it_may_have_begins_no_other() {
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
        .post(&house, DIRECT, &announced("a.txt", b"a"))
        .await
        .problem(409, "quota_exceeded");
    // One that was begun when there was room is refused when there is none.
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
    is_counted(&house, 5, 0, 1).await;
}

#[tokio::test]
async fn uploads_that_stand_still_go_and_those_that_are_over_are_forgotten() {
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
        "that which waits for us and not for its client"
    );
    is_counted(&house, 4, 8, 1).await;
    house.stores.clock.advance(time::Duration::days(7));
    assert_eq!(clean_up(&house).await, 1);
    assert_eq!(house.count("direct_uploads").await, 0);
    is_counted(&house, 4, 0, 1).await;
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
