//! PostgreSQL is unreachable: requests are refused clearly, and processes recover without a
//! restart.

use plinth_testkit::{Mailbox, Process, Stage, until};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::house::{Answer, Door, PASSWORD, Person, assert_unready, fresh_email, until_ready};
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
        assert_unready(process, "postgresql").await;
    }

    wire.restore();
    for process in [&api.internal_url, &worker.internal_url] {
        until_ready(process).await;
    }
    // Readiness uses its own connection; the circuit breaker of requests tries again after its
    // pause.
    until("requests are accepted", async || {
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
            .expect("a Retry-After header")
            .parse()
            .expect("seconds");
        assert!(wait >= 1);
    }
}

#[tokio::test]
async fn broken_connections_are_replaced_without_failed_requests() {
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
