//! Redis is unreachable: requests get slower, checks stay closed, and nothing is lost.

use std::time::{Duration, Instant};

use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::StatusCode;

use crate::house::{Door, Person, fresh_email, store_state};
use crate::picture::jpeg;

#[tokio::test]
async fn work_continues_without_redis() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_redis().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let door = Door::of(&api);
    let person = door.person().await;
    person.get("/v1/me").await.expect(StatusCode::OK);

    wire.tear();
    for path in ["/v1/me", "/v1/files", "/v1/me/notifications"] {
        person.get(path).await.expect(StatusCode::OK);
    }
    let file = person.upload("photo.jpg", jpeg(200, 100)).await;
    let email = fresh_email();
    door.register(&email).await;
    door.log_in(&person.email)
        .await
        .get("/v1/me")
        .await
        .expect(StatusCode::OK);
    for process in [&api.internal_url, &worker.internal_url] {
        assert_eq!(store_state(process, "redis").await, "does not answer");
    }

    wire.restore();
    for process in [&api.internal_url, &worker.internal_url] {
        until("Redis answers", async || {
            (store_state(process, "redis").await == "answers").then_some(())
        })
        .await;
    }
    person.until_ready(file).await;
    assert!(Mailbox::first_to(&email).await.html.is_some());
    assert!(api.stop().await.success());
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_logout_without_redis_takes_effect_at_once_and_when_redis_is_back() {
    let mut stage = Stage::open().await;
    let _worker = Process::worker(&stage).await;
    let wire = stage.wire_redis().await;
    let api = Process::api(&stage).await;
    let person = Door::of(&api).person().await;
    // Redis has a copy of the session, and still has it when it comes back.
    person.get("/v1/me").await.expect(StatusCode::OK);
    wire.tear();
    person.log_out().await;
    person.get("/v1/me").await.problem(401, "session_ended");
    wire.restore();
    let mended = Instant::now();
    while mended.elapsed() < Duration::from_secs(3) {
        person.get("/v1/me").await.problem(401, "session_ended");
    }
}

#[tokio::test]
async fn a_logout_without_redis_takes_effect_even_if_the_api_is_killed_before_redis_is_back() {
    let mut stage = Stage::open().await;
    let _worker = Process::worker(&stage).await;
    let wire = stage.wire_redis().await;
    let api = Process::api(&stage).await;
    let person = Door::of(&api).person().await;
    person.get("/v1/me").await.expect(StatusCode::OK);
    wire.tear();
    person.log_out().await;
    api.kill().await;
    wire.restore();
    let next = Process::api(&stage).await;
    let person = Person {
        door: Door::of(&next),
        ..person
    };
    person.get("/v1/me").await.problem(401, "session_ended");
}
