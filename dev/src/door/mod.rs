//! The product's public door as a client sees it: one method an operation, and a
//! refusal told in the problem's own words.

mod authenticators;
mod credentials;
mod files;
mod links;
mod uploads;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::random;
use crate::stack::{Manifest, client_for};

pub use files::{FileView, Variant};
pub use links::NewLink;

/// A person who registers.
#[derive(Debug, Clone)]
pub struct Account {
    pub email: String,
    pub password: String,
}

impl Account {
    /// A user who is not registered yet.
    pub fn fresh() -> Result<Self> {
        let email = format!("{}@example.org", random::token(9)?.to_lowercase());
        Ok(Self {
            email,
            password: random::token(18)?,
        })
    }
}

/// What a login or a refresh gives.
#[derive(Debug, Clone, Deserialize)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page {
    pub items: Vec<Value>,
}

/// The API and the mailbox of one stack.
#[derive(Debug, Clone)]
pub struct Door {
    http: reqwest::Client,
    api: String,
    mailbox: String,
}

impl Door {
    pub fn of(manifest: &Manifest) -> Result<Self> {
        Ok(Self {
            http: client_for(manifest)?,
            api: manifest.api_url.clone(),
            mailbox: manifest.mailbox_url.clone(),
        })
    }

    /// The same product by another process.
    #[must_use]
    pub fn at(&self, api: String) -> Self {
        Self {
            api,
            ..self.clone()
        }
    }

    pub async fn register(&self, account: &Account, display_name: &str) -> Result<()> {
        let body = json!({
            "email": account.email, "password": account.password, "display_name": display_name,
        });
        self.post("/v1/auth/register", &body, StatusCode::ACCEPTED)
            .await
            .map(drop)
    }

    /// Waits for the verification mail and returns the token in its link.
    pub async fn verification_token(&self, account: &Account) -> Result<String> {
        let url = format!("{}/messages?to={}", self.mailbox, account.email);
        let mail = until(
            Duration::from_secs(20),
            Duration::from_millis(50),
            "no mail came",
            async || {
                let messages: Vec<Value> = self
                    .http
                    .get(&url)
                    .send()
                    .await?
                    .error_for_status()?
                    .json()
                    .await?;
                Ok(messages.into_iter().next())
            },
        );
        let mail = mail.await?;
        let text = mail["text"].as_str().context("the mail has no text part")?;
        token_in(text).with_context(|| format!("the mail has no link with a token: {text}"))
    }

    pub async fn verify_email(&self, account: &Account, token: &str) -> Result<()> {
        let body = json!({ "token": token, "password": account.password });
        self.post("/v1/auth/verify-email", &body, StatusCode::NO_CONTENT)
            .await
            .map(drop)
    }

    pub async fn log_in(&self, email: &str, password: &str) -> Result<Tokens> {
        let body = json!({ "email": email, "password": password });
        let answer = self.post("/v1/auth/login", &body, StatusCode::OK).await?;
        answer.json().await.context("the login's answer")
    }

    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens> {
        let body = json!({ "refresh_token": refresh_token });
        let answer = self.post("/v1/auth/refresh", &body, StatusCode::OK).await?;
        answer.json().await.context("the refresh's answer")
    }

    pub async fn log_out(&self, access_token: &str) -> Result<()> {
        let request = self.request(Method::POST, "/v1/auth/logout", access_token);
        expect(request, StatusCode::NO_CONTENT).await.map(drop)
    }

    /// A JSON document for its owner.
    pub async fn get(&self, path: &str, access_token: &str) -> Result<Value> {
        let request = self.request(Method::GET, path, access_token);
        let answer = expect(request, StatusCode::OK).await?;
        answer
            .json()
            .await
            .with_context(|| format!("the answer of {path}"))
    }

    pub async fn list(&self, path: &str, access_token: &str) -> Result<Page> {
        serde_json::from_value(self.get(path, access_token).await?)
            .with_context(|| format!("the list of {path}"))
    }

    /// A request that must be refused with exactly this status.
    pub async fn is_refused(
        &self,
        path: &str,
        access_token: &str,
        status: StatusCode,
    ) -> Result<()> {
        expect(self.request(Method::GET, path, access_token), status)
            .await
            .map(drop)
    }

    /// Registers a user, verifies the address, and logs in.
    pub async fn newcomer(&self) -> Result<(Account, Tokens)> {
        let account = Account::fresh()?;
        self.register(&account, "Newcomer")
            .await
            .context("registering")?;
        let token = self.verification_token(&account).await?;
        self.verify_email(&account, &token)
            .await
            .context("verifying the address")?;
        let tokens = self
            .log_in(&account.email, &account.password)
            .await
            .context("logging in")?;
        Ok((account, tokens))
    }

    async fn post(&self, path: &str, body: &Value, status: StatusCode) -> Result<Response> {
        expect(
            self.http.post(format!("{}{path}", self.api)).json(body),
            status,
        )
        .await
    }

    fn request(&self, method: Method, path: &str, access_token: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.api))
            .bearer_auth(access_token)
    }
}

/// Asks again and again until there is an answer.
pub async fn until<T>(
    limit: Duration,
    pause: Duration,
    otherwise: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("{otherwise} within {} s", limit.as_secs());
        }
        sleep(pause).await;
    }
}

/// Sends a request whose answer must have this status. A client of this product
/// waits when it is told to: a second run in the same minute meets its limits.
async fn expect(mut request: RequestBuilder, status: StatusCode) -> Result<Response> {
    loop {
        let again = request.try_clone();
        let answer = request.send().await?;
        let got = answer.status();
        if got == status {
            return Ok(answer);
        }
        if got == StatusCode::TOO_MANY_REQUESTS
            && let (Some(pause), Some(again)) = (retry_after(&answer), again)
        {
            sleep(pause).await;
            request = again;
            continue;
        }
        let body = answer.bytes().await.unwrap_or_default();
        bail!(
            "{} instead of {}{}",
            got.as_u16(),
            status.as_u16(),
            told(&body)
        );
    }
}

/// How long a refused client shall wait, where that is bearable.
fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    (seconds <= 10).then(|| Duration::from_secs(seconds))
}

/// What a problem document says, or the beginning of whatever came instead.
fn told(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| problem[name].as_str();
    match (field("code"), field("detail").or_else(|| field("title"))) {
        (Some(code), detail) => {
            let request = field("request_id")
                .map(|id| format!(" (request {id})"))
                .unwrap_or_default();
            format!(", {code}: {}{request}", detail.unwrap_or("no detail"))
        }
        _ if body.is_empty() => String::new(),
        _ => format!(
            ": {}",
            String::from_utf8_lossy(body)
                .chars()
                .take(200)
                .collect::<String>()
        ),
    }
}

/// The value of `token` in the first link that has one.
fn token_in(text: &str) -> Option<String> {
    let (_, rest) = text
        .split_once("?token=")
        .or_else(|| text.split_once("&token="))?;
    let end =
        rest.find(|symbol: char| !(symbol.is_ascii_alphanumeric() || "-_.~".contains(symbol)));
    let token = &rest[..end.unwrap_or(rest.len())];
    (!token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_ends_where_the_link_ends() {
        assert_eq!(
            token_in("go to http://x/verify?token=aB-1_2\r\nbye").as_deref(),
            Some("aB-1_2")
        );
        assert_eq!(
            token_in("<http://x/?a=b&token=abc>").as_deref(),
            Some("abc")
        );
        assert_eq!(token_in("http://x/?token="), None);
        assert_eq!(token_in("nothing"), None);
    }

    #[test]
    fn a_problem_is_told_by_its_code_and_detail() {
        let body =
            br#"{"type":"about:blank","title":"No","code":"email_taken","detail":"It is.","request_id":"7"}"#;
        assert_eq!(told(body), ", email_taken: It is. (request 7)");
        assert_eq!(told(b"<html>"), ": <html>");
        assert_eq!(told(b""), "");
    }
}
