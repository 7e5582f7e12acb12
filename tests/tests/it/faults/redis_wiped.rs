//! Redis loses all keys: it holds nothing that cannot be restored.

use plinth_core::Stores;
use plinth_testkit::{Process, Stage};
use reqwest::StatusCode;
use serde_json::json;

use crate::house::{Door, until_none};
use crate::picture::jpeg;

/// Removes every key of this test.
async fn wipe(stores: &Stores) -> usize {
    let mut redis = stores
        .redis
        .client()
        .get_multiplexed_async_connection()
        .await
        .expect("Redis answers");
    let pattern = format!("{}*", stores.redis.prefix());
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(pattern)
        .query_async(&mut redis)
        .await
        .expect("lists");
    if !keys.is_empty() {
        let _: i64 = redis::cmd("UNLINK")
            .arg(&keys)
            .query_async(&mut redis)
            .await
            .expect("unlinks");
    }
    keys.len()
}

#[tokio::test]
async fn sessions_survive_and_ended_sessions_stay_ended() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let _worker = Process::worker(&stage).await;
    let door = Door::of(&api);
    let stays = door.person().await;
    let gone = door.log_in(&stays.email).await;
    for person in [&stays, &gone] {
        person.get("/v1/me").await.expect(StatusCode::OK);
    }
    gone.log_out().await;
    gone.get("/v1/me").await.problem(401, "session_ended");

    assert!(
        wipe(&stage.stores()).await > 0,
        "there was something to forget"
    );
    // Twice, because the copy that the first request stores must be right too.
    for _ in 0..2 {
        gone.get("/v1/me").await.problem(401, "session_ended");
        stays.get("/v1/me").await.expect(StatusCode::OK);
    }
    let refresh = |token: &str| json!({ "refresh_token": token });
    door.post("/v1/auth/refresh", &refresh(&stays.refresh_token))
        .await
        .expect(StatusCode::OK);
    let refused = door
        .post("/v1/auth/refresh", &refresh(&gone.refresh_token))
        .await;
    refused.problem(401, "invalid_refresh_token");
    stays.get("/v1/me").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn waiting_jobs_are_done() {
    let stage = Stage::open().await;
    let api = Process::api(&stage).await;
    let post = Process::worker_with(&stage, &["--queues", "email"]).await;
    let person = Door::of(&api).person().await;
    let stores = stage.stores();
    let photo = jpeg(200, 100);
    let mut files = Vec::new();
    for _ in 0..5 {
        files.push(person.upload("photo.jpg", photo.clone()).await);
    }
    assert!(wipe(&stores).await > 0, "the notes of the jobs were there");
    let worker = Process::worker(&stage).await;
    // Once more while jobs run.
    person.until_ready(files[0]).await;
    wipe(&stores).await;
    until_none(
        &stores,
        "every job is done",
        "SELECT count(*) FROM jobs WHERE state <> 'done'",
    )
    .await;
    for file in files {
        person.until_ready(file).await;
    }
    assert!(worker.stop().await.success());
    assert!(post.stop().await.success());
}
