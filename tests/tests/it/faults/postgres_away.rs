//! PostgreSQL does not answer: a clear refusal, and recovery without anybody's help.

use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::{Answer, Door, PASSWORD, Person, blames, fresh_email, until_ready};
use crate::picture::jpeg;

#[tokio::test]
async fn requests_are_refused_with_503_until_postgresql_is_back() {
    let mut stage = Stage::open()
        .await
        .with("PLINTH_DATABASE_ACQUIRE_TIMEOUT", "1s");
    let wire = stage.wire_database().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let door = Door::of(&api);
    let person = door.person().await;
    let file = person.upload("photo.jpg", jpeg(200, 100)).await;
    person.until_ready(file).await;

    wire.tear();
    for _ in 0..2 {
        everything_is_refused(&person).await;
    }
    for process in [&api.internal_url, &worker.internal_url] {
        blames(process, "postgresql").await;
    }

    wire.mend();
    for process in [&api.internal_url, &worker.internal_url] {
        until_ready(process).await;
    }
    // Readiness asks by a connection of its own; the breaker of requests tries again within its pause.
    until("requests are taken", async || {
        (person.get("/v1/files").await.status == StatusCode::OK).then_some(())
    })
    .await;
    let email = fresh_email();
    door.register(&email).await;
    assert!(Mailbox::first_to(&email).await.html.is_some());
    assert!(api.stop().await.success());
    assert!(worker.stop().await.success());
}

async fn everything_is_refused(person: &Person) {
    let credentials = json!({ "email": person.email, "password": PASSWORD });
    let registration = json!({ "email": fresh_email(), "password": PASSWORD });
    let refresh = json!({ "refresh_token": person.refresh_token });
    let requests = [
        person.request(Method::GET, "/v1/files"),
        person.request(Method::GET, "/v1/me/notifications"),
        person
            .request(Method::PATCH, "/v1/me")
            .json(&json!({ "display_name": "Eve" })),
        person.uploading("photo.jpg", jpeg(200, 100)),
        person.request(Method::POST, "/v1/auth/logout"),
        person
            .door
            .request(Method::POST, "/v1/auth/login")
            .json(&credentials),
        person
            .door
            .request(Method::POST, "/v1/auth/register")
            .json(&registration),
        person
            .door
            .request(Method::POST, "/v1/auth/refresh")
            .json(&refresh),
    ];
    for answer in futures_util::future::join_all(requests.map(Answer::of)).await {
        answer.problem(503, "unavailable");
        let wait: u32 = answer
            .header("retry-after")
            .expect("it says when to come again")
            .parse()
            .expect("seconds");
        assert!(wait >= 1);
    }
}

#[tokio::test]
async fn broken_connections_are_replaced_and_nobody_notices() {
    let mut stage = Stage::open().await;
    let wire = stage.wire_database().await;
    let api = Process::api(&stage).await;
    let worker = Process::worker(&stage).await;
    let door = Door::of(&api);
    for _ in 0..3 {
        let person = door.person().await;
        wire.cut();
        person.get("/v1/files").await.expect(StatusCode::OK);
        let file = person.upload("photo.jpg", jpeg(200, 100)).await;
        wire.cut();
        person.until_ready(file).await;
    }
    assert!(api.stop().await.success());
    assert!(worker.stop().await.success());
}
