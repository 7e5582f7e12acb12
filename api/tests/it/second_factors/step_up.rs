//! The step-up before sensitive operations.

use plinth_testkit::Stage;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{enrol, prove, refreshed};
use crate::house::{Answer, House, PASSWORD};

#[tokio::test]
async fn sensitive_operations_require_a_recent_login() {
    let house = House::open().await;
    let person = house.person("ada").await;
    house.stores.clock.advance(time::Duration::minutes(4));
    let person = refreshed(&house, &person).await;
    person
        .delete(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
    house.stores.clock.advance(time::Duration::minutes(2));
    // A refresh does not count.
    let person = refreshed(&house, &person).await;
    person
        .delete(&house, "/v1/me/sessions")
        .await
        .problem(403, "step_up_required");
    let stepped = person
        .post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD }))
        .await;
    let person = person.with(&stepped.expect(StatusCode::OK));
    person
        .delete(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
    let person = refreshed(&house, &person).await;
    person
        .delete(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_step_up_replaces_the_tokens_of_the_session() {
    let house = House::open().await;
    let old = house.person("ada").await;
    let wrong = json!({ "password": "a wrong guess" });
    old.post(&house, "/v1/auth/step-up", &wrong)
        .await
        .problem(401, "invalid_credentials");
    old.post(&house, "/v1/auth/step-up", &json!({}))
        .await
        .problem(409, "no_passkey");
    let stepped = old
        .post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD }))
        .await;
    let new = old.with(&stepped.expect(StatusCode::OK));
    assert_eq!(new.session_id, old.session_id);
    old.get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    new.get(&house, "/v1/me").await.expect(StatusCode::OK);
    // A tab with the old token is refused without ending the session; much later it is a theft.
    let stale = json!({ "refresh_token": old.refresh_token });
    house
        .post("/v1/auth/refresh", &stale)
        .await
        .problem(401, "invalid_refresh_token");
    let new = refreshed(&house, &new).await;
    house.stores.clock.advance(time::Duration::seconds(30));
    house
        .post("/v1/auth/refresh", &stale)
        .await
        .problem(401, "invalid_refresh_token");
    new.get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
}

#[tokio::test]
async fn a_step_up_requires_the_second_factor() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, _) = enrol(&house, &person).await;
    house.stores.clock.advance(time::Duration::minutes(10));
    let person = refreshed(&house, &person).await;
    let asked = person
        .post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD }))
        .await;
    let asked = asked.expect(StatusCode::OK);
    assert_eq!(asked["mfa_required"], true);
    person
        .delete(&house, "/v1/me/sessions")
        .await
        .problem(403, "step_up_required");
    let tokens = prove(&house, &asked, "code", &app.code(&house, 0))
        .await
        .expect(StatusCode::OK);
    let stepped = person.with(&tokens);
    assert_eq!(stepped.session_id, person.session_id);
    person
        .get(&house, "/v1/me")
        .await
        .problem(401, "session_ended");
    stepped
        .delete(&house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn step_up_guesses_are_slowed_down_but_not_by_strangers() {
    let house = House::on(
        Stage::open()
            .await
            .with("PLINTH_API_TRUSTED_PROXIES", "127.0.0.0/8"),
    )
    .await;
    let person = house.person("ada").await;
    for number in 0..25 {
        let body = json!({ "email": person.email, "password": "a wrong guess" });
        let guess = house.request(Method::POST, "/v1/auth/login").json(&body);
        Answer::of(guess.header("x-forwarded-for", format!("203.0.113.{number}"))).await;
    }
    let wrong = json!({ "password": "a wrong guess" });
    for _ in 0..11 {
        person
            .post(&house, "/v1/auth/step-up", &wrong)
            .await
            .problem(401, "invalid_credentials");
    }
    person
        .post(&house, "/v1/auth/step-up", &wrong)
        .await
        .problem(429, "rate_limited");
}
