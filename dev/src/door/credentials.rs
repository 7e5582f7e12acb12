//! Logins over the public API: sessions, second factors, passkeys, API keys.

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::authenticators::{App, Passkey};
use super::{Account, Door, Tokens, expect};

/// A session as its owner sees it.
#[derive(Debug, Clone, Deserialize)]
pub struct SessionView {
    pub id: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Door {
    /// A refresh that must be refused.
    pub async fn refuses_refresh(&self, refresh_token: &str) -> Result<()> {
        let body = json!({ "refresh_token": refresh_token });
        self.post("/v1/auth/refresh", &body, StatusCode::UNAUTHORIZED)
            .await
            .map(drop)
    }

    pub async fn sessions(&self, access_token: &str) -> Result<Vec<SessionView>> {
        let page = self.list("/v1/me/sessions", access_token).await?;
        page.items
            .into_iter()
            .map(|item| Ok(serde_json::from_value(item)?))
            .collect()
    }

    pub async fn revoke_session(&self, id: &str, access_token: &str) -> Result<()> {
        let request = self.request(
            Method::DELETE,
            &format!("/v1/me/sessions/{id}"),
            access_token,
        );
        expect(request, StatusCode::NO_CONTENT).await.map(drop)
    }

    /// Adds an app, with the code that it showed before this one: a code is taken once, and the
    /// next login needs one.
    pub async fn add_app(&self, access_token: &str) -> Result<App> {
        let path = "/v1/me/mfa/totp";
        let started = self
            .post_as(
                path,
                access_token,
                &json!({ "name": "Phone" }),
                StatusCode::CREATED,
            )
            .await?;
        let app = App::with(text(&started, "secret")?)?;
        let path = format!("{path}/{}/confirm", text(&started, "id")?);
        let body = json!({ "code": app.previous_code().await? });
        self.post_as(&path, access_token, &body, StatusCode::OK)
            .await
            .context("confirming it")?;
        Ok(app)
    }

    /// A login up to the question for a second factor: its challenge.
    pub async fn challenge(&self, account: &Account) -> Result<String> {
        let body = json!({ "email": account.email, "password": account.password });
        let asked: Value = self
            .post("/v1/auth/login", &body, StatusCode::OK)
            .await?
            .json()
            .await?;
        text(&asked, "challenge").map(str::to_owned)
    }

    /// A step-up up to the question for a second factor: its challenge.
    pub async fn step_up(&self, password: &str, access_token: &str) -> Result<String> {
        let body = json!({ "password": password });
        let asked = self
            .post_as("/v1/auth/step-up", access_token, &body, StatusCode::OK)
            .await?;
        text(&asked, "challenge").map(str::to_owned)
    }

    /// Completes a login or a step-up.
    pub async fn prove(&self, challenge: &str, code: &str) -> Result<Tokens> {
        let body = json!({ "challenge": challenge, "code": code });
        let answer = self
            .post("/v1/auth/login/mfa", &body, StatusCode::OK)
            .await?;
        answer.json().await.context("the second factor's answer")
    }

    /// Adds a passkey, as a page of this origin does.
    pub async fn add_passkey(&self, origin: &str, access_token: &str) -> Result<Passkey> {
        let path = "/v1/me/passkeys/start";
        let asked = self
            .post_as(path, access_token, &json!({}), StatusCode::OK)
            .await?;
        let (passkey, credential) = Passkey::create(origin, &asked["public_key"])?;
        let body =
            json!({ "challenge": asked["challenge"], "name": "Laptop", "credential": credential });
        self.post_as(
            "/v1/me/passkeys/finish",
            access_token,
            &body,
            StatusCode::CREATED,
        )
        .await?;
        Ok(passkey)
    }

    pub async fn log_in_by_passkey(&self, passkey: &Passkey) -> Result<Tokens> {
        let start = self
            .post("/v1/auth/passkeys/login/start", &json!({}), StatusCode::OK)
            .await?;
        let asked: Value = start.json().await?;
        let credential = passkey.prove(&asked["public_key"])?;
        let body = json!({ "challenge": asked["challenge"], "credential": credential });
        let answer = self
            .post("/v1/auth/passkeys/login/finish", &body, StatusCode::OK)
            .await?;
        answer.json().await.context("the login's answer")
    }

    /// A key that may read the profile: its token.
    pub async fn create_api_key(&self, access_token: &str) -> Result<String> {
        let body = json!({ "name": "smoke", "scopes": ["profile:read"] });
        let made = self
            .post_as("/v1/me/api-keys", access_token, &body, StatusCode::CREATED)
            .await?;
        text(&made, "token").map(str::to_owned)
    }

    async fn post_as(
        &self,
        path: &str,
        access_token: &str,
        body: &Value,
        status: StatusCode,
    ) -> Result<Value> {
        let request = self.request(Method::POST, path, access_token).json(body);
        expect(request, status)
            .await?
            .json()
            .await
            .with_context(|| format!("the answer of {path}"))
    }
}

fn text<'a>(answer: &'a Value, field: &str) -> Result<&'a str> {
    answer[field]
        .as_str()
        .with_context(|| format!("the answer has no {field}"))
}
