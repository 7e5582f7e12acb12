//! Wrong second factors by an attacker with the password must not delay the owner.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{App, challenge, enrol, prove, refreshed};
use crate::house::{House, PASSWORD, Person, text};
use crate::mailed::RESET;

/// Sends wrong codes from an unknown device until the next attempt has to wait.
async fn lock_unknown_devices_out(house: &House, person: &Person) {
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

/// Logs in from a device up to the challenge.
async fn challenge_from(house: &House, person: &Person, device_token: &Value) -> Value {
    let login =
        json!({ "email": person.email, "password": PASSWORD, "device_token": device_token });
    house
        .post("/v1/auth/login", &login)
        .await
        .expect(StatusCode::OK)
}

/// Logs in with the second factor and returns the response.
async fn log_in(house: &House, person: &Person, app: &App, steps: i64) -> Value {
    let asked = challenge(house, person).await;
    prove(house, &asked, "code", &app.code(house, steps))
        .await
        .expect(StatusCode::OK)
}

#[tokio::test]
async fn wrong_codes_of_an_attacker_delay_neither_a_known_device_nor_an_open_session() {
    let house = House::open().await;
    let person = house.person("ada").await;
    let (app, codes) = enrol(&house, &person).await;
    let tokens = log_in(&house, &person, &app, 0).await;
    let person = person.with(&tokens);
    lock_unknown_devices_out(&house, &person).await;

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
    // The attacker still has to wait.
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "recovery_code", &codes[1])
        .await
        .problem(429, "rate_limited");
}

#[tokio::test]
async fn a_known_device_and_a_session_are_slowed_down_by_their_own_guesses() {
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
    // Neither has delayed the others.
    let asked = challenge(&house, &person).await;
    prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_device_without_a_proved_factor_is_unknown_to_second_factors() {
    let house = House::open().await;
    let person = house.person("ada").await;
    // With the password, an attacker could have registered devices before the factor was enrolled.
    let before = house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
    let (_, codes) = enrol(&house, &person).await;
    // The factor is older than what a reset removes.
    house.stores.clock.advance(time::Duration::days(8));
    lock_unknown_devices_out(&house, &person).await;
    let asked = challenge_from(&house, &person, &before["device_token"]).await;
    prove(&house, &asked, "recovery_code", &codes[0])
        .await
        .problem(429, "rate_limited");

    // With the mailbox, an attacker gets a device token by a reset.
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
async fn a_code_is_accepted_as_an_app_displays_it() {
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
