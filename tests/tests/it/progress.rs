//! Owners watch the progress of their background jobs, which run in another process.

use plinth_testkit::{Process, Stage, text, until};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::house::{Door, Person, count, lift_idle_timeout};
use crate::picture::jpeg;

/// Reads events until the job has the expected state, or the stream ends.
async fn until_told(events: &mut Response, seen: &mut String, what: &str) {
    while !seen.contains(what) {
        let chunk = events.chunk().await.expect("the stream is whole");
        let chunk = chunk.unwrap_or_else(|| panic!("the stream ended before {what}: {seen}"));
        seen.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
    }
}

async fn watch(person: &Person, file: &Value) -> Response {
    let path = format!("/v1/me/jobs/{}/events", text(&file["job_id"]));
    let events = person
        .request(Method::GET, &path)
        .send()
        .await
        .expect("the API answers");
    assert_eq!(events.status(), StatusCode::OK);
    events
}

#[tokio::test]
async fn an_owner_watches_the_progress_of_their_thumbnails() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let mails = Process::worker_with(&stage, &["--queues", "email"]).await;
    let person = Door::of(&api).person().await;
    let stores = stage.stores();
    let id = person.upload("photo.jpg", jpeg(400, 300)).await;
    let file = person
        .get(&format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::OK);
    let (mut events, mut seen) = (watch(&person, &file).await, String::new());
    until_told(&mut events, &mut seen, "\"state\":\"waiting\"").await;

    // Until this transaction ends, thumbnails are made and cannot be recorded.
    let mut obstacle = stores.db.begin().await.expect("begins");
    lift_idle_timeout(&mut obstacle).await;
    sqlx::query("SELECT FROM file_variants FOR UPDATE")
        .execute(&mut *obstacle)
        .await
        .expect("locks");
    let worker = Process::worker(&stage).await;
    until_told(&mut events, &mut seen, "\"progress\":80").await;
    obstacle.rollback().await.expect("ends");
    until_told(&mut events, &mut seen, "\"state\":\"done\"").await;
    assert!(
        events.chunk().await.expect("the stream is whole").is_none(),
        "the stream ends with the job"
    );
    assert!(worker.stop().await.success());
    assert!(mails.stop().await.success());
}

#[tokio::test]
async fn a_stopping_api_does_not_wait_for_watchers() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let mails = Process::worker_with(&stage, &["--queues", "email"]).await;
    let person = Door::of(&api).person().await;
    let id = person.upload("photo.jpg", jpeg(40, 30)).await;
    let file = person
        .get(&format!("/v1/files/{id}"))
        .await
        .expect(StatusCode::OK);
    let (mut events, mut seen) = (watch(&person, &file).await, String::new());
    until_told(&mut events, &mut seen, "\"state\":\"waiting\"").await;
    let requested_at = std::time::Instant::now();
    assert!(api.stop().await.success());
    assert!(
        requested_at.elapsed().as_secs() < 5,
        "it took {:?}",
        requested_at.elapsed()
    );
    assert!(
        events.chunk().await.expect("the stream is whole").is_none(),
        "it ends, and does not break off"
    );

    let stores = stage.stores();
    let worker = Process::worker(&stage).await;
    let waiting = "SELECT count(*) FROM jobs WHERE kind = 'files.thumbnails' AND state <> 'done'";
    until("the job is done", async || {
        (count(&stores, waiting).await == 0).then_some(())
    })
    .await;
    assert!(worker.stop().await.success());
    assert!(mails.stop().await.success());
}
