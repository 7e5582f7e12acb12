//! Wrong second factors of strangers, who know the password, and what they do not delay.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{App, challenge, enrol, prove, refreshed};
use crate::house::{House, PASSWORD, Person, text};
use crate::mailed::RESET;

/// Wrong codes by a stranger until the next attempt has to wait.
async fn lock_strangers_out(house: &House, person: &Person) {
    for _ in 0..2 {
        let asked = challenge(house, person).await;
        for _ in 0..5 {
            prove(house, &asked, "code", "000000").await;
        }
    }
    let asked = challenge(house, person).await;
    prove(house, &asked, "code", "000000")
        .await
        .problem(429, "rate_limited");
}

/// A login from a device up to the challenge.
async fn challenge_from(house: &House, person: &Person, device_token: &Value) -> Value {
    let login =
        json!({ "email": person.email, "password": PASSWORD, "device_token": device_token });
    house
        .post("/v1/auth/login", &login)
        .await
        .expect(StatusCode::OK)
}

/// A login with the second factor; its answer.
async fn log_in(house: &House, person: &Person, app: &App, steps: i64) -> Value {
    let asked = challenge(house, person).await;
    prove(house, &asked, "code", &app.code(house, steps))
        .await
        .expect(StatusCode::OK)
}

#[tokio::test]
async fn wrong_codes_of_a_stranger_delay_neither_a_known_device_nor_a_live_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, codes) = enrol(&house, &person).await;
    let tokens = log_in(&house, &person, &app, 0).await;
    let person = person.with(&tokens);
    lock_strangers_out(&house, &person).await;

    let asked = challenge_from(&house, &person, &tokens["device_token"]).await;
    prove(&house, &asked, "code", &app.code(&house, 1))
        .await
        .expect(StatusCode::OK);
    let asked = person
        .post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD }))
        .await;
    let asked = asked.expect(StatusCode::OK);
    prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .expect(StatusCode::OK);
    // A stranger still waits.
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "recovery_code", &codes[1])
        .await
        .problem(429, "rate_limited");
}

#[tokio::test]
async fn a_known_device_and_a_session_that_guess_are_slowed_down_by_themselves() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, codes) = enrol(&house, &person).await;
    let tokens = log_in(&house, &person, &app, 0).await;
    let person = person.with(&tokens);
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let asked = challenge_from(&house, &person, &tokens["device_token"]).await;
        statuses.push(
            prove(&house, &asked, "code", "000000")
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429]);
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let asked = person
            .post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD }))
            .await;
        let asked = asked.expect(StatusCode::OK);
        statuses.push(
            prove(&house, &asked, "code", "000000")
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429]);
    // Neither has delayed anybody else.
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_device_on_which_no_factor_was_proved_is_a_stranger_to_second_factors() {
    let house = House::open().await;
    let person = house.person("ada").await;
    // Whoever knows the password has had such devices before the factor was enrolled, as many as wanted.
    let before = house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
    let (_, codes) = enrol(&house, &person).await;
    // The factor is older than what a reset removes.
    house.stores.clock.advance(time::Duration::days(8));
    lock_strangers_out(&house, &person).await;
    let asked = challenge_from(&house, &person, &before["device_token"]).await;
    prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .problem(429, "rate_limited");

    // Whoever reads the mailbox gets one by a reset.
    let token = house.reset_token(&person.email).await;
    let reset = house.present(RESET, &token).await.expect(StatusCode::OK);
    let login = json!({
        "email": person.email, "password": "quite another battery", "device_token": reset["device_token"],
    });
    let asked = house
        .post("/v1/auth/login", &login)
        .await
        .expect(StatusCode::OK);
    prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .problem(429, "rate_limited");
}

#[tokio::test]
async fn a_code_is_taken_as_an_app_shows_it() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let started = person
        .post(&house, "/v1/me/mfa/totp", &json!({ "name": "Phone" }))
        .await;
    let started = started.expect(StatusCode::CREATED);
    let app = App::with(&text(&started["secret"]));
    let shown = |steps: i64, separator: &str| {
        let code = app.code(&house, steps);
        format!(" {}{separator}{} ", &code[..3], &code[3..])
    };
    let path = format!("/v1/me/mfa/totp/{}/confirm", text(&started["id"]));
    person
        .post(&house, &path, &json!({ "code": shown(-1, " ") }))
        .await
        .expect(StatusCode::OK);
    for (steps, separator) in [(0, " "), (1, "-")] {
        let asked = challenge(&house, &person).await;
        prove(&house, &asked, "code", &shown(steps, separator))
            .await
            .expect(StatusCode::OK);
    }
    house.stores.clock.advance(time::Duration::minutes(2));
    let person = refreshed(&house, &person).await;
    let asked = person
        .post(&house, "/v1/auth/step-up", &json!({ "password": PASSWORD }))
        .await;
    let asked = asked.expect(StatusCode::OK);
    prove(&house, &asked, "code", &shown(0, "\u{a0}"))
        .await
        .expect(StatusCode::OK);
}
