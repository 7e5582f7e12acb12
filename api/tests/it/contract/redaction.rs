//! Placeholders for values that differ between runs. Equal ids and secrets get equal placeholders,
//! so that a snapshot shows what belongs together. Times are not numbered: the number of clock
//! reads is not part of the contract.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// Patterns that are replaced by a constant text.
const FIXED: &[(&str, &str)] = &[
    ("[time]", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"),
    (
        "[date]",
        r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
    ),
    // A presigned request of S3 (Signature Version 4 in the query).
    ("X-Amz-Credential=[key]", r"X-Amz-Credential=[A-Za-z0-9_-]+"),
    ("[time]", r"\d{8}T\d{6}Z"),
    ("%2F[date]%2F", r"%2F\d{8}%2F"),
    (
        "X-Amz-Signature=[signature]",
        r"X-Amz-Signature=[0-9a-f]{64}",
    ),
    ("127.0.0.1:[port]", r"127\.0\.0\.1:\d+"),
    // A whole text of six digits is a code of an authenticator app.
    ("[code]", r"^\d{6}$"),
];

/// Patterns that are numbered in the order of their first occurrence.
const NUMBERED: &[(&str, &str)] = &[
    (
        "uuid",
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("random", r"\bt?[0-9a-f]{32}\b"),
    ("secret", r"\b[A-Z2-7]{32}\b"),
    (
        "token",
        r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
    ),
];

/// Long base64url text: a token if it has letters of both cases.
const TOKEN: &str = r"[A-Za-z0-9_-]{22,}";

/// Members of JSON with random values that no pattern matches.
const MEMBERS: &[(&str, &str)] = &[
    ("hint", "hint"),
    ("kid", "kid"),
    ("qr_svg", "svg"),
    ("recovery_codes", "recovery-code"),
];

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = FIXED
        .iter()
        .chain(NUMBERED)
        .map(|(_, pattern)| format!("({pattern})"));
    Regex::new(&patterns.collect::<Vec<_>>().join("|")).expect("the patterns are valid")
});

static TOKEN_PATTERN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(TOKEN).expect("the pattern is valid"));

/// The placeholders of one snapshot.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    /// The numbers of values, by kind.
    numbers: HashMap<&'static str, HashMap<String, usize>>,
}

impl Redaction {
    /// Returns the text with placeholders.
    pub(super) fn text(&mut self, text: &str) -> String {
        let marked = PATTERN.replace_all(text, |found: &Captures<'_>| {
            let value = found.get(0).expect("the whole match").as_str();
            // Each pattern is one group, and none has groups of its own.
            let index = (1..found.len())
                .find(|index| found.get(*index).is_some())
                .expect("one group matches")
                - 1;
            match FIXED.get(index) {
                Some((replacement, _)) => (*replacement).to_owned(),
                None => self.numbered(NUMBERED[index - FIXED.len()].0, value),
            }
        });
        let marked = TOKEN_PATTERN.replace_all(&marked, |found: &Captures<'_>| {
            let value = found.get(0).expect("the whole match").as_str();
            let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
            if has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) {
                self.numbered("token", value)
            } else {
                value.to_owned()
            }
        });
        marked.into_owned()
    }

    /// Replaces values in every text of the JSON value.
    pub(super) fn json(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(members) => {
                for (name, member) in members {
                    match MEMBERS.iter().find(|(known, _)| known == name) {
                        Some((_, kind)) => self.member(kind, member),
                        None => self.json(member),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn member(&mut self, kind: &'static str, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.numbered(kind, text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.member(kind, item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        }
    }

    fn numbered(&mut self, kind: &'static str, value: &str) -> String {
        let numbers = self.numbers.entry(kind).or_default();
        let next = numbers.len() + 1;
        let number = *numbers.entry(value.to_owned()).or_insert(next);
        format!("[{kind}-{number}]")
    }
}

#[test]
fn equal_values_get_equal_placeholders() {
    let mut redaction = Redaction::default();
    let (one, other) = (
        "01937b1e-0000-7000-8000-000000000001",
        "01937b1e-0000-7000-8000-000000000002",
    );
    assert_eq!(
        redaction.text(&format!("/{one}/{other}/{one}")),
        "/[uuid-1]/[uuid-2]/[uuid-1]"
    );
    assert_eq!(redaction.text(other), "[uuid-2]");
    assert_eq!(redaction.text("at 2026-01-02T03:04:05.6Z"), "at [time]");
}

#[test]
fn values_that_never_change_are_kept() {
    let digest = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1";
    for text in [
        digest,
        "second_factor_required",
        "max-age=31536000; includeSubDomains",
        "1000000",
    ] {
        assert_eq!(Redaction::default().text(text), text);
    }
}
