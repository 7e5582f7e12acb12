//! What the API answered, and the one shape that every refusal has.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Sends the request; there is an API that answers.
    pub async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("the API answers")
    }

    /// Sends the request to an API that may be away.
    pub async fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Self {
            status,
            headers,
            bytes: response.bytes().await?.to_vec(),
        };
        if answer
            .header("content-type")
            .is_some_and(|kind| kind.contains("json"))
        {
            times_are_utc(&answer.json());
        }
        Ok(answer)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, where the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        self.json()
    }

    /// A problem of this kind, in the one shape that all of them have.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let shown = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status.as_u16(), status, "{shown}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{shown}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], status, "{shown}");
        assert_eq!(problem["code"], code, "{shown}");
        let kind = problem["type"].as_str().unwrap_or_default();
        assert!(kind.ends_with(&format!("/errors#{code}")), "{shown}");
        assert!(problem["title"].is_string(), "{shown}");
        assert_eq!(
            problem["request_id"].as_str(),
            self.header("x-request-id"),
            "{shown}"
        );
        for leak in [
            "sqlx", "postgres", "SELECT", "panicked", "src/", ".rs", "redis://",
        ] {
            assert!(!shown.contains(leak), "{leak} leaks: {shown}");
        }
        problem
    }

    /// Which fields a problem complains of, as `pointer code`.
    pub fn faults(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let mut faults: Vec<_> = errors
            .iter()
            .map(|error| format!("{} {}", text(&error["pointer"]), text(&error["code"])))
            .collect();
        faults.sort();
        faults
    }
}

/// Every time in an answer of the API is in UTC, and says so by `Z`.
fn times_are_utc(value: &Value) {
    match value {
        Value::String(text) => {
            let is_time = OffsetDateTime::parse(text, &Rfc3339).is_ok();
            assert!(
                !is_time || text.ends_with('Z'),
                "the time {text} is not in UTC"
            );
        }
        Value::Array(items) => items.iter().for_each(times_are_utc),
        Value::Object(members) => members.values().for_each(times_are_utc),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text that a value is.
#[track_caller]
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}
