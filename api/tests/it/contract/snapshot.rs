//! Snapshots of a request and its complete response, as text.

use std::fmt::Write as _;

use insta::Settings;
use plinth_platform::crypto::{hex, sha256};
use reqwest::header::HeaderMap;
use reqwest::{Request, RequestBuilder};
use serde_json::Value;

use super::redaction::Redaction;
use crate::files::unpacked;
use crate::house::Answer;

/// The folder of the snapshots, relative to this file.
pub(super) const FOLDER: &str = "../snapshots";

/// Sends the request, and compares it and its response with a snapshot.
pub(super) async fn compare(folder: &str, name: &str, request: RequestBuilder) -> Answer {
    let sent = request
        .try_clone()
        .expect("the body is in memory")
        .build()
        .expect("the request is valid");
    let answer = Answer::of(request).await;
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let text = render(&sent, &answer);
    settings.bind(|| insta::assert_snapshot!(name, text));
    answer
}

fn render(request: &Request, answer: &Answer) -> String {
    let mut redaction = Redaction::default();
    let url = request.url();
    let query = url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let mut text = format!(
        "{} {}\n",
        request.method(),
        redaction.text(&format!("{}{query}", url.path()))
    );
    let body = request
        .body()
        .and_then(reqwest::Body::as_bytes)
        .unwrap_or_default();
    message(&mut text, request.headers(), body, &mut redaction);
    write!(text, "\nHTTP {}\n", answer.status).expect("writing to a String never fails");
    message(&mut text, &answer.headers, &answer.bytes, &mut redaction);
    text
}

/// Appends the headers, sorted by name, and the body.
fn message(text: &mut String, headers: &HeaderMap, body: &[u8], redaction: &mut Redaction) {
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let is_json = kind.contains("json");
    let mut lines: Vec<_> = headers.iter().collect();
    lines.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in lines {
        let value = String::from_utf8_lossy(value.as_bytes());
        // The length of JSON depends on its ids and times.
        let value = if is_json && name == "content-length" {
            "[length]"
        } else {
            &*value
        };
        writeln!(text, "{name}: {}", redaction.text(value))
            .expect("writing to a String never fails");
    }
    if !body.is_empty() {
        writeln!(text, "\n{}", render_body(kind, body, redaction))
            .expect("writing to a String never fails");
    }
}

fn render_body(kind: &str, body: &[u8], redaction: &mut Redaction) -> String {
    // A request can be malformed on purpose.
    if kind.contains("json")
        && let Ok(mut value) = serde_json::from_slice::<Value>(body)
    {
        redaction.json(&mut value);
        return serde_json::to_string_pretty(&value).expect("a value can be serialized");
    }
    if kind == "application/zip" {
        let entry = |(name, bytes): (String, Vec<u8>)| format!("{name}: {}", digest(&bytes));
        return unpacked(body.to_vec())
            .into_iter()
            .map(entry)
            .collect::<Vec<_>>()
            .join("\n");
    }
    match std::str::from_utf8(body) {
        Ok(body) => redaction.text(body.trim_end()),
        Err(_) => digest(body),
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("[{} bytes, SHA-256 {}]", bytes.len(), hex(&sha256(bytes)))
}
