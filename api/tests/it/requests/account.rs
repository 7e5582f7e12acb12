//! The caller's own account: profile, address, password, sessions, API keys, notifications and
//! storage.

use plinth_core::notifications::Inbox;
use plinth_domain::closed_set::Recorded;
use plinth_domain::notification::{NewNotification, NotificationKind};
use reqwest::StatusCode;
use serde_json::json;

use super::second_factors::{MULTI_FACTOR, passkey_of, set_methods};
use super::{NEW_PASSWORD, Request, free_address, missing_request};
use crate::house::{House, PASSWORD, Person, text};

pub(super) async fn prepare(house: &House, operation: &str, caller: &Person) -> Request {
    match operation {
        "readMe" | "deleteMe" => Request::new(),
        "changeMe" => Request::json(json!({ "display_name": "Countess" })),
        "changeEmail" => Request::json(json!({ "email": free_address() })),
        "waiveEmailUndo" => {
            add_undoable_change(house, caller).await;
            Request::new()
        }
        "changePassword" => {
            Request::json(json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD }))
        }
        "removePassword" => {
            passkey_of(house, caller).await;
            set_methods(house, caller, MULTI_FACTOR).await;
            Request::new()
        }
        "listSessions" | "revokeOtherSessions" => {
            house.elsewhere(caller).await;
            Request::new()
        }
        "revokeSession" => Request::new().at("id", &house.elsewhere(caller).await.session_id),
        "createApiKey" => Request::json(json!({ "name": "deploy", "scopes": ["profile:read"] })),
        "listApiKeys" => {
            api_key(house, caller).await;
            Request::new()
        }
        "revokeApiKey" => Request::new().at("id", &api_key(house, caller).await),
        "listNotifications" => {
            let message = NewNotification {
                user_id: caller.id,
                kind: Recorded::Known(NotificationKind::FileProcessed),
                title: "Your image is ready".to_owned(),
                body: "The previews of photo.jpg are there.".to_owned(),
                subject: "one".to_owned(),
            };
            Inbox::new(&house.stores)
                .deliver(&message)
                .await
                .expect("delivers");
            Request::new()
        }
        "readStorage" => {
            caller.upload(house, "notes.txt", b"text".to_vec()).await;
            Request::new()
        }
        other => missing_request(other),
    }
}

/// Creates an API key and returns its id.
async fn api_key(house: &House, caller: &Person) -> String {
    let body = json!({ "name": "deploy", "scopes": ["files:read"], "expires_in_days": 30 });
    let made = caller
        .post(house, "/v1/me/api-keys", &body)
        .await
        .expect(StatusCode::CREATED);
    text(&made["api_key"]["id"])
}

/// Records a change of address that can be undone, of an owner with an old second factor.
async fn add_undoable_change(house: &House, caller: &Person) {
    set_methods(house, caller, MULTI_FACTOR).await;
    for row in [
        "INSERT INTO email_undos (user_id, email_key, changed_at, expires_at)
         VALUES ($1, $1::text || '@example.org', now(), now() + interval '7 days')
         ON CONFLICT DO NOTHING",
        "INSERT INTO totp_factors (id, user_id, name, secret, confirmed_at, created_at)
         VALUES (gen_random_uuid(), $1, 'Phone', 'x', now() - interval '30 days', now())",
    ] {
        sqlx::query(row)
            .bind(caller.id.0)
            .execute(&house.stores.db)
            .await
            .expect("writes");
    }
}
