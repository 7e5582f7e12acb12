//! Registrations, logins, and operations with a mailed token.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{NEW_PASSWORD, Request, free_address, missing_request};
use crate::house::{House, PASSWORD, Person};
use crate::mailed::UNDO;
use crate::recovery::{add_passkey, change_address};
use crate::second_factors::{challenge, enrol};

pub(super) async fn prepare(house: &House, operation: &str, caller: &Person) -> Request {
    match operation {
        "readKeySet" | "startPasskeyLogin" => Request::new(),
        "register" => Request::json(json!({
            "email": free_address(), "password": PASSWORD, "display_name": "Ada",
        })),
        "resendVerification" => {
            let email = house.register("ada").await;
            Request::json(json!({ "registration_id": house.registration_of(&email).await }))
        }
        "verifyEmail" => {
            Request::json(json!({ "token": registration_token(house).await, "password": PASSWORD }))
        }
        "discardRegistration" => Request::json(json!({ "token": registration_token(house).await })),
        "login" => Request::json(json!({ "email": caller.email, "password": PASSWORD })),
        "loginMfa" => {
            let (app, _) = enrol(house, caller).await;
            let asked = challenge(house, caller).await;
            Request::json(json!({ "challenge": asked["challenge"], "code": app.code(house, 0) }))
        }
        "finishPasskeyLogin" => login_by_passkey(house, caller).await,
        "stepUp" => Request::json(json!({ "password": PASSWORD })),
        "logout" | "refresh" => Request::json(json!({ "refresh_token": caller.refresh_token })),
        "restoreMe" => {
            caller
                .delete(house, "/v1/me")
                .await
                .expect(StatusCode::NO_CONTENT);
            let asked = house
                .log_in(&caller.email, PASSWORD)
                .await
                .expect(StatusCode::OK);
            Request::json(json!({ "challenge": asked["challenge"] }))
        }
        "forgotPassword" => Request::json(json!({ "email": caller.email })),
        "resetPassword" => Request::json(json!({
            "token": house.reset_token(&caller.email).await, "password": NEW_PASSWORD,
        })),
        "confirmEmail" => Request::json(json!({
            "token": house.change_token(caller.id, &free_address()).await, "password": PASSWORD,
        })),
        "undoEmail" => {
            Request::json(json!({ "token": change_address(house, caller, &free_address()).await }))
        }
        "undoEmailMfa" => undo_with_app(house, caller).await,
        other => missing_request(other),
    }
}

/// Returns the mailed token of a pending registration.
async fn registration_token(house: &House) -> String {
    let email = house.register("ada").await;
    house.verification_token(&email).await
}

async fn login_by_passkey(house: &House, caller: &Person) -> Request {
    let mut key = add_passkey(house, caller, "phone").await;
    let asked = house
        .post("/v1/auth/passkeys/login/start", &json!({}))
        .await
        .expect(StatusCode::OK);
    let credential: Value = key.get(&asked["public_key"]);
    Request::json(json!({ "challenge": asked["challenge"], "credential": credential }))
}

/// The undo of a change of address requires a factor that is older than what an intruder could have
/// added.
async fn undo_with_app(house: &House, caller: &Person) -> Request {
    let (app, _) = enrol(house, caller).await;
    house.stores.clock.advance(time::Duration::days(8));
    let token = change_address(house, caller, &free_address()).await;
    let asked = house.present(UNDO, &token).await.expect(StatusCode::OK);
    Request::json(json!({ "challenge": asked["challenge"], "code": app.code(house, 0) }))
}
