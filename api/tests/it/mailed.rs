//! Tokens as the worker would mail them, and their endpoints.

use std::time::Duration;

use plinth_core::auth::{Asked, EmailChanges, PasswordResets, SecurityNotices};
use plinth_domain::email::Email;
use plinth_domain::id::{ApiKeyId, UserId};
use plinth_domain::notice::SecurityNotice;
use plinth_platform::crypto::ApiKeyToken;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::house::{Answer, House, PASSWORD, Person};

pub(crate) const VERIFY: &str = "/v1/auth/verify-email";
pub(crate) const RESET: &str = "/v1/auth/password/reset";
pub(crate) const CONFIRM: &str = "/v1/auth/email/confirm";
pub(crate) const UNDO: &str = "/v1/auth/email/undo";

pub(crate) fn address(text: &str) -> Email {
    Email::parse(text).expect("an address")
}

impl House {
    /// A mail that is asked for now.
    pub(crate) fn asked(&self) -> Asked {
        Asked {
            at: self.stores.clock.now(),
            again: false,
        }
    }

    pub(crate) async fn try_reset_token(&self, email: &str, asked: Asked) -> Option<String> {
        let resets = PasswordResets::new(&self.stores, Duration::from_hours(1));
        let due = resets
            .prepare(&address(email), asked)
            .await
            .expect("answers")?;
        assert_eq!(due.to, email);
        Some(due.token.reveal())
    }

    pub(crate) async fn reset_token(&self, email: &str) -> String {
        self.try_reset_token(email, self.asked())
            .await
            .expect("an active account has the address")
    }

    pub(crate) async fn try_change_token(&self, id: UserId, email: &str) -> Option<String> {
        let changes = EmailChanges::new(&self.stores, Duration::from_hours(24));
        let due = changes
            .prepare(id, &address(email), self.asked())
            .await
            .expect("answers")?;
        assert_eq!(due.to, email, "it goes to the new address");
        Some(due.token.reveal())
    }

    pub(crate) async fn change_token(&self, id: UserId, email: &str) -> String {
        self.try_change_token(id, email)
            .await
            .expect("the address is free")
    }

    pub(crate) async fn undo_token(&self, id: UserId, old_email: &str) -> String {
        self.try_undo_token(id, old_email)
            .await
            .expect("the change can be undone")
    }

    pub(crate) async fn try_undo_token(&self, id: UserId, old_email: &str) -> Option<String> {
        let notices = SecurityNotices::new(&self.stores, Duration::from_hours(7 * 24));
        let notice = SecurityNotice::EmailChanged {
            old_email: old_email.to_owned(),
        };
        let due = notices
            .prepare(id, &notice, self.asked())
            .await
            .expect("answers")
            .expect("the notice has a recipient");
        assert_eq!(due.to, old_email, "it goes to the address that was left");
        due.undo.map(|(token, _)| token.reveal())
    }

    /// Presents a token at its endpoint.
    pub(crate) async fn present(&self, door: &str, token: &str) -> Answer {
        let mut body = json!({ "token": token });
        match door {
            RESET => body["password"] = json!("quite another battery"),
            VERIFY | CONFIRM => body["password"] = json!(PASSWORD),
            _ => {}
        }
        self.post(door, &body).await
    }

    /// Confirms a change of address with the password of its account.
    pub(crate) async fn confirm_with(&self, token: &str, password: &str) -> Answer {
        self.post(CONFIRM, &json!({ "token": token, "password": password }))
            .await
    }

    /// Creates a key of this user with this scope.
    pub(crate) async fn api_key(&self, id: UserId, scope: &str) -> String {
        let token = ApiKeyToken::generate();
        let at = self.stores.clock.now();
        sqlx::query(
            "INSERT INTO api_keys (id, user_id, name, token_hash, hint, scopes, created_at)
             VALUES ($1, $2, 'deploy', $3, 'plk_', $4, $5)",
        )
        .bind(ApiKeyId::mint(at).0)
        .bind(id.0)
        .bind(&token.hash()[..])
        .bind(vec![scope])
        .bind(at)
        .execute(&self.stores.db)
        .await
        .expect("inserts");
        token.reveal().to_owned()
    }

    pub(crate) async fn try_api_key(&self, key: &str) -> Answer {
        Answer::of(self.request(Method::GET, "/v1/me").bearer_auth(key)).await
    }

    /// Inserts a passkey of this user that no authenticator has.
    pub(crate) async fn passkey_row(&self, id: UserId) {
        sqlx::query(
            "INSERT INTO passkeys (id, user_id, name, credential_id, credential, created_at)
             VALUES (gen_random_uuid(), $1, 'key', sha256($2), '{}', now())",
        )
        .bind(id.0)
        .bind(&id.0.as_bytes()[..])
        .execute(&self.stores.db)
        .await
        .expect("inserts");
        self.forget_copies().await;
    }
}

impl Person {
    pub(crate) async fn put(&self, house: &House, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(house, Method::PUT, path).json(body)).await
    }

    /// Returns whether requests with the person's access token are accepted.
    pub(crate) async fn is_in(&self, house: &House) -> bool {
        self.get(house, "/v1/me").await.status == StatusCode::OK
    }
}
