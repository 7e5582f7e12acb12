//! Second factors: authenticator apps, recovery codes, challenges, step-ups, and roles that require
//! one.

mod apps;
mod challenges;
mod lock_out;
mod recovery_codes;
mod requirement;
mod resets;
mod step_up;

use reqwest::StatusCode;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::house::{Answer, House, PASSWORD, Person, text};

/// An authenticator app with a secret.
pub(crate) struct App(Totp);

impl App {
    pub(crate) fn with(secret: &str) -> Self {
        let secret = Secret::try_from_base32(secret).expect("base32");
        Self(Builder::new().with_secret(secret).build_noncompliant())
    }

    /// Returns the code of a time step, relative to the current one.
    pub(crate) fn code(&self, house: &House, steps: i64) -> String {
        let now = house.stores.clock.now().unix_timestamp() + 30 * steps;
        self.0
            .generate(u64::try_from(now).expect("after 1970"))
            .to_string()
    }
}

/// Enrols an app with the previous code, so that the current one is still unused.
pub(crate) async fn enrol(house: &House, person: &Person) -> (App, Vec<String>) {
    let started = person
        .post(house, "/v1/me/mfa/totp", &json!({ "name": "Phone" }))
        .await;
    let started = started.expect(StatusCode::CREATED);
    assert!(
        text(&started["otpauth_uri"]).starts_with("otpauth://totp/Plinth:"),
        "{started}"
    );
    assert!(text(&started["qr_svg"]).contains("<svg"));
    let app = App::with(&text(&started["secret"]));
    let path = format!("/v1/me/mfa/totp/{}/confirm", text(&started["id"]));
    person
        .post(house, &path, &json!({ "code": "000000" }))
        .await
        .problem(422, "validation_failed");
    let confirmed = person
        .post(house, &path, &json!({ "code": app.code(house, -1) }))
        .await;
    let codes = confirmed.expect(StatusCode::OK)["recovery_codes"].clone();
    (app, serde_json::from_value(codes).expect("codes"))
}

/// Enrols another app. Returns it with its path.
async fn enrol_another(house: &House, person: &Person, name: &str) -> (App, String) {
    let started = person
        .post(house, "/v1/me/mfa/totp", &json!({ "name": name }))
        .await;
    let started = started.expect(StatusCode::CREATED);
    let app = App::with(&text(&started["secret"]));
    let path = format!("/v1/me/mfa/totp/{}", text(&started["id"]));
    let confirmed = person
        .post(
            house,
            &format!("{path}/confirm"),
            &json!({ "code": app.code(house, -1) }),
        )
        .await;
    assert!(
        confirmed.expect(StatusCode::OK)["recovery_codes"].is_null(),
        "the account has recovery codes already"
    );
    (app, path)
}

/// Logs in up to the challenge.
pub(crate) async fn challenge(house: &House, person: &Person) -> Value {
    let challenge = house
        .log_in(&person.email, PASSWORD)
        .await
        .expect(StatusCode::OK);
    assert_eq!(challenge["mfa_required"], true, "{challenge}");
    assert!(challenge["access_token"].is_null(), "{challenge}");
    challenge
}

pub(crate) async fn prove(house: &House, challenge: &Value, name: &str, value: &str) -> Answer {
    house
        .post(
            "/v1/auth/login/mfa",
            &json!({ "challenge": challenge["challenge"], name: value }),
        )
        .await
}

async fn refreshed(house: &House, person: &Person) -> Person {
    let body = json!({ "refresh_token": person.refresh_token });
    person.with(
        &house
            .post("/v1/auth/refresh", &body)
            .await
            .expect(StatusCode::OK),
    )
}

async fn amr(house: &House, person: &Person) -> Value {
    let sessions = person
        .get(house, "/v1/me/sessions")
        .await
        .expect(StatusCode::OK);
    let items = sessions["items"].as_array().expect("items").clone();
    items
        .into_iter()
        .find(|item| item["current"] == true)
        .expect("the current session")["amr"]
        .clone()
}
