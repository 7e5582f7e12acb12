//! The types of settings, and how each is parsed and shown.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use plinth_domain::job::Queue;
use secrecy::{ExposeSecret, SecretString};
use strum::{Display, EnumString};

use super::clamav::TooLargeToScan;
use super::s3::ServerSideEncryption;

/// A type that a setting can have.
pub trait Value: Sized {
    /// The type's name on the reference page.
    const KIND: &'static str;
    const SECRET: bool = false;

    /// Parses the text. The error says what is expected.
    fn parse(text: &str) -> Result<Self, String>;

    /// Returns the value as text, secrets redacted.
    fn show(&self) -> String;
}

macro_rules! from_str_value {
    ($($ty:ty = $kind:literal, $expected:literal;)*) => {$(
        impl Value for $ty {
            const KIND: &'static str = $kind;
            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| $expected.to_owned())
            }
            fn show(&self) -> String { self.to_string() }
        }
    )*};
}

from_str_value! {
    u32 = "number", "expected a whole number";
    usize = "number", "expected a whole number";
    bool = "true or false", "expected true or false";
    SocketAddr = "address:port", "expected an address like 127.0.0.1:8080";
    IpNet = "network", "expected a network like 10.0.0.0/8";
    Queue = "queue", "expected email, files, notifications or cleanup";
    LogFormat = "auto, json or text", "expected auto, json or text";
    ServerSideEncryption = "none, AES256 or aws:kms", "expected none, AES256 or aws:kms";
    TooLargeToScan = "refuse or allow", "expected refuse or allow";
}

impl Value for String {
    const KIND: &'static str = "text";
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("must not be empty".to_owned())
        } else {
            Ok(text.to_owned())
        }
    }
    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "path";
    fn parse(text: &str) -> Result<Self, String> {
        String::parse(text).map(Self::from)
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// An empty text is `None`.
impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;
    const SECRET: bool = T::SECRET;
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::parse(text).map(Some)
        }
    }
    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

impl Value for Duration {
    const KIND: &'static str = "duration";
    fn parse(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text)
            .ok()
            .filter(|duration| !duration.is_zero());
        duration.ok_or_else(|| "expected a duration like 250ms, 30s, 5m or 14d".to_owned())
    }
    fn show(&self) -> String {
        // The largest unit that divides it, as people write it: 90d, not "2months 29days".
        let whole = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let unit = whole
            .into_iter()
            .find(|(unit, _)| self.as_secs().is_multiple_of(*unit));
        match unit.filter(|_| self.subsec_nanos() == 0) {
            Some((unit, name)) => format!("{}{name}", self.as_secs() / unit),
            None => humantime::format_duration(*self).to_string(),
        }
    }
}

/// A number of bytes, written like `64KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub struct ByteSize(pub u64);

impl Value for ByteSize {
    const KIND: &'static str = "size";
    fn parse(text: &str) -> Result<Self, String> {
        bytesize::ByteSize::from_str(text)
            .map(|size| Self(size.0))
            .map_err(|_| "expected a size like 512, 64KiB, 10MiB or 5GiB".to_owned())
    }
    fn show(&self) -> String {
        [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
            .into_iter()
            .find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit))
            .map_or_else(
                || self.0.to_string(),
                |(unit, name)| format!("{}{name}", self.0 / unit),
            )
    }
}

/// Several values, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl Value for List<String> {
    const KIND: &'static str = "list";
    fn parse(text: &str) -> Result<Self, String> {
        parse_list(text)
    }
    fn show(&self) -> String {
        self.0.join(",")
    }
}

impl Value for List<IpNet> {
    const KIND: &'static str = "list of networks";
    fn parse(text: &str) -> Result<Self, String> {
        parse_list(text)
    }
    fn show(&self) -> String {
        show_list(&self.0)
    }
}

impl Value for List<Queue> {
    const KIND: &'static str = "list of queues";
    fn parse(text: &str) -> Result<Self, String> {
        parse_list(text)
    }
    fn show(&self) -> String {
        show_list(&self.0)
    }
}

pub(super) fn parse_list<T: Value>(text: &str) -> Result<List<T>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| T::parse(item).map_err(|problem| format!("{item:?}: {problem}")))
        .collect::<Result<_, _>>()
        .map(List)
}

pub(super) fn show_list<T: Value>(items: &[T]) -> String {
    items.iter().map(T::show).collect::<Vec<_>>().join(",")
}

/// A text that is never shown.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// Returns the text itself, for the code that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Value for Secret {
    const KIND: &'static str = "secret";
    const SECRET: bool = true;
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("must not be empty".to_owned())
        } else {
            Ok(Self::new(text))
        }
    }
    fn show(&self) -> String {
        "[redacted]".to_owned()
    }
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Json,
    Text,
}
