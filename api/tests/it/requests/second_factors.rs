//! The caller's authenticator apps, recovery codes and passkeys.

use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::{DOMAIN, ORIGIN, Request, missing_request};
use crate::authenticator::Authenticator;
use crate::house::{House, Person, text};
use crate::second_factors::{App, enrol};

/// The methods of a session that was opened with a password and an app (RFC 8176).
pub(crate) const MULTI_FACTOR: &[&str] = &["pwd", "otp", "mfa"];

pub(super) async fn prepare(house: &House, operation: &str, caller: &Person) -> Request {
    match operation {
        "readRecoveryCodes" | "listTotpFactors" => {
            enrol(house, caller).await;
            Request::new()
        }
        "regenerateRecoveryCodes" => {
            passkey_of(house, caller).await;
            set_methods(house, caller, MULTI_FACTOR).await;
            Request::new()
        }
        "startTotp" => Request::json(json!({ "name": "Phone" })),
        "confirmTotp" => {
            let started = caller
                .post(house, "/v1/me/mfa/totp", &json!({ "name": "Phone" }))
                .await;
            let started = started.expect(StatusCode::CREATED);
            let code = App::with(&text(&started["secret"])).code(house, 0);
            Request::json(json!({ "code": code })).at("id", &text(&started["id"]))
        }
        "removeTotp" => {
            let id = app_of(house, caller).await;
            set_methods(house, caller, MULTI_FACTOR).await;
            Request::new().at("id", &id)
        }
        "startPasskey" => Request::new(),
        "finishPasskey" => {
            let asked = caller
                .post(house, "/v1/me/passkeys/start", &json!({}))
                .await
                .expect(StatusCode::OK);
            let credential = Authenticator::at(ORIGIN, DOMAIN).create(&asked["public_key"]);
            Request::json(json!({
                "challenge": asked["challenge"], "name": "phone", "credential": credential,
            }))
        }
        "listPasskeys" => {
            passkey_of(house, caller).await;
            Request::new()
        }
        "renamePasskey" => {
            let id = passkey_of(house, caller).await;
            set_methods(house, caller, MULTI_FACTOR).await;
            Request::json(json!({ "name": "laptop" })).at("id", &id)
        }
        "removePasskey" => {
            let id = passkey_of(house, caller).await;
            set_methods(house, caller, MULTI_FACTOR).await;
            Request::new().at("id", &id)
        }
        other => missing_request(other),
    }
}

/// Sets the authentication methods of the account's sessions.
pub(crate) async fn set_methods(house: &House, person: &Person, methods: &[&str]) {
    let update = sqlx::query("UPDATE sessions SET amr = $2 WHERE user_id = $1").bind(person.id.0);
    update
        .bind(methods)
        .execute(&house.stores.db)
        .await
        .expect("updates");
}

/// Adds an authenticator app that no test can use. Returns its id.
pub(crate) async fn app_of(house: &House, caller: &Person) -> Uuid {
    let insert = "INSERT INTO totp_factors (id, user_id, name, secret, confirmed_at, created_at)
                  VALUES ($1, $2, 'Phone', 'x', now(), now())";
    let id = Uuid::new_v4();
    let insert = sqlx::query(insert).bind(id).bind(caller.id.0);
    insert.execute(&house.stores.db).await.expect("inserts");
    id
}

/// Returns the id of the caller's only passkey, which is added if necessary.
pub(super) async fn passkey_of(house: &House, caller: &Person) -> Uuid {
    let query = "SELECT id FROM passkeys WHERE user_id = $1";
    let find = async || {
        let find = sqlx::query_scalar(query).bind(caller.id.0);
        find.fetch_optional(&house.stores.db).await.expect("reads")
    };
    if let Some(id) = find().await {
        return id;
    }
    house.passkey_row(caller.id).await;
    find().await.expect("it was inserted")
}
