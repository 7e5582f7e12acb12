//! Setting types that check their own rules, so that code that holds a value need not check it
//! again.

use std::ops::Deref;
use std::str::FromStr as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use sqlx::postgres::PgConnectOptions;

use super::value::{ByteSize, Secret, Value};
use crate::crypto::{MAX_MEMORY_KIB, RootKey};

macro_rules! checked_secrets {
    ($($(#[$doc:meta])* $name:ident: $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(Secret);

        impl Deref for $name {
            type Target = Secret;
            fn deref(&self) -> &Secret { &self.0 }
        }

        impl Value for $name {
            const KIND: &'static str = Secret::KIND;
            const SECRET: bool = true;
            fn parse(text: &str) -> Result<Self, String> {
                let secret = Secret::parse(text)?;
                let check: fn(&str) -> Result<(), String> = $check;
                check(text)?;
                Ok(Self(secret))
            }
            fn show(&self) -> String { self.0.show() }
        }
    )*};
}

macro_rules! checked_texts {
    ($($(#[$doc:meta])* $name:ident ($kind:literal): $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str { &self.0 }
        }

        impl Value for $name {
            const KIND: &'static str = $kind;
            fn parse(text: &str) -> Result<Self, String> {
                let text = String::parse(text)?;
                let check: fn(&str) -> Result<(), String> = $check;
                check(&text)?;
                Ok(Self(text))
            }
            fn show(&self) -> String { self.0.clone() }
        }
    )*};
}

checked_secrets! {
    /// The secret from which a [`RootKey`] is derived.
    RootSecret: |text| RootKey::parse(&Secret::new(text)).map(drop).map_err(|error| error.to_string());
    /// Comma-separated seeds of keys that sign access tokens: the first signs, all verify.
    SigningSeeds: |text| expect(
        seeds_of(text).is_some_and(|seeds| !seeds.is_empty()),
        "expected base64 of 32 bytes, several separated by commas; `plinth-api keys generate --signing` prints one",
    );
    /// Comma-separated, named keys that wrap the keys of files: the first wraps, all unwrap.
    MasterKeyList: |text| expect(
        named_keys_of(text).is_some_and(|keys| !keys.is_empty()),
        "expected name:key, several separated by commas; a key is base64 of 32 bytes, a name has letters, digits and dashes and is not root",
    );
    /// The URL of PostgreSQL, with user and password.
    DatabaseUrl: |text| {
        let shape = text.starts_with("postgres://") || text.starts_with("postgresql://");
        expect(shape && PgConnectOptions::from_str(text).is_ok(), "expected a URL like postgres://user:password@host:port/database")
    };
    /// The URL of Redis, with user and password if it needs them.
    RedisUrl: |text| expect(::redis::Client::open(text).is_ok(), "expected a URL like redis://host:port/0");
    /// The URL of the mail server, with user and password if it needs them.
    SmtpUrl: |text| {
        let transport = lettre::SmtpTransport::from_url(text);
        expect(transport.is_ok(), "expected a URL like smtp://host:25 or smtps://user:password@host")
    };
}

checked_texts! {
    /// An `http` or `https` URL.
    HttpUrl ("URL"): |text| {
        let uri = text.parse::<Uri>();
        let is_valid = uri.is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
        });
        expect(is_valid, "expected a URL like https://host")
    };
    /// The prefix of every key in Redis.
    KeyPrefix ("text"): |text| {
        let plain = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        expect(plain, "expected at most 64 letters, digits and dashes")
    };
    /// A filter of log lines in tracing's syntax.
    LogFilter ("filter"): |text| {
        expect(tracing_subscriber::EnvFilter::try_new(text).is_ok(), "expected a filter like info or info,sqlx=debug")
    };
    /// The sender of mails.
    Sender ("mailbox"): |text| {
        expect(text.parse::<lettre::message::Mailbox>().is_ok(), "expected a sender like Name <name@host>")
    };
}

impl SigningSeeds {
    pub fn seeds(&self) -> Vec<[u8; 32]> {
        seeds_of(self.expose()).expect("the constructor checked the value")
    }
}

fn seeds_of(text: &str) -> Option<Vec<[u8; 32]>> {
    let seed = |part: &str| STANDARD.decode(part.trim()).ok()?.try_into().ok();
    text.split(',').map(seed).collect()
}

impl MasterKeyList {
    pub fn keys(&self) -> Vec<(String, [u8; 32])> {
        named_keys_of(self.expose()).expect("the constructor checked the value")
    }
}

fn named_keys_of(text: &str) -> Option<Vec<(String, [u8; 32])>> {
    let mut keys: Vec<(String, [u8; 32])> = Vec::new();
    for part in text.split(',') {
        let (name, key) = part.trim().split_once(':')?;
        let is_name = (1..=40).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && name != crate::crypto::DERIVED_KEY;
        if !is_name || keys.iter().any(|(other, _)| other == name) {
            return None;
        }
        keys.push((name.to_owned(), STANDARD.decode(key).ok()?.try_into().ok()?));
    }
    Some(keys)
}

/// The minimum strength of a password: a score of zxcvbn from 0 to 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strength(pub u8);

impl Value for Strength {
    const KIND: &'static str = "0 to 4";
    fn parse(text: &str) -> Result<Self, String> {
        let score = text.trim().parse().ok().filter(|score| *score <= 4);
        score
            .map(Self)
            .ok_or_else(|| "expected a whole number from 0 to 4".to_owned())
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

fn expect(is_valid: bool, expected: &str) -> Result<(), String> {
    if is_valid {
        Ok(())
    } else {
        Err(expected.to_owned())
    }
}

/// The prefix of object keys; may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPrefix(String);

impl Deref for ObjectPrefix {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Value for ObjectPrefix {
    const KIND: &'static str = "text";
    fn parse(text: &str) -> Result<Self, String> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte));
        let fits = text.len() <= 64 && plain && !text.starts_with('/');
        expect(
            fits,
            "expected at most 64 letters, digits, dashes, underscores and slashes",
        )?;
        Ok(Self(text.to_owned()))
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A number of at least `MIN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtLeast<const MIN: u32>(pub u32);

impl<const MIN: u32> AtLeast<MIN> {
    /// Returns the number as a `usize`, saturated.
    pub fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u32> Value for AtLeast<MIN> {
    const KIND: &'static str = "number";
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.trim().parse().ok().filter(|number| *number >= MIN);
        number
            .map(Self)
            .ok_or_else(|| format!("expected a whole number of at least {MIN}"))
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between<const MIN: u32, const MAX: u32>(pub u32);

impl<const MIN: u32, const MAX: u32> Value for Between<MIN, MAX> {
    const KIND: &'static str = "number";
    fn parse(text: &str) -> Result<Self, String> {
        let number = text
            .trim()
            .parse()
            .ok()
            .filter(|number| (MIN..=MAX).contains(number));
        number
            .map(Self)
            .ok_or_else(|| format!("expected a whole number from {MIN} to {MAX}"))
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// A duration from `MIN` to `MAX` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationBetween<const MIN: u64, const MAX: u64>(pub Duration);

impl<const MIN: u64, const MAX: u64> Value for DurationBetween<MIN, MAX> {
    const KIND: &'static str = Duration::KIND;
    fn parse(text: &str) -> Result<Self, String> {
        let (min, max) = (Duration::from_secs(MIN), Duration::from_secs(MAX));
        let duration = Duration::parse(text)?;
        let fits = (min..=max).contains(&duration);
        let expected = || format!("expected a duration from {} to {}", min.show(), max.show());
        fits.then_some(Self(duration)).ok_or_else(expected)
    }
    fn show(&self) -> String {
        self.0.show()
    }
}

/// A duration that may be zero, which disables the feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationOrZero(pub Duration);

impl Value for DurationOrZero {
    const KIND: &'static str = Duration::KIND;
    fn parse(text: &str) -> Result<Self, String> {
        let is_zero = humantime::parse_duration(text).is_ok_and(|duration| duration.is_zero());
        if is_zero {
            Ok(Self(Duration::ZERO))
        } else {
            Duration::parse(text).map(Self)
        }
    }
    fn show(&self) -> String {
        self.0.show()
    }
}

/// The memory of one argon2id hash in bytes. The minimum is OWASP's recommendation; the maximum is
/// what a stored hash may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Memory(pub ByteSize);

impl Argon2Memory {
    const MIN_BYTES: u64 = 19 << 20;
    const MAX_BYTES: u64 = (MAX_MEMORY_KIB as u64) << 10;

    /// Returns the memory in KiB, the unit of argon2's parameter.
    pub fn kib(self) -> u32 {
        u32::try_from(self.0.0 / 1024).unwrap_or(u32::MAX)
    }
}

impl Value for Argon2Memory {
    const KIND: &'static str = ByteSize::KIND;
    fn parse(text: &str) -> Result<Self, String> {
        let size = ByteSize::parse(text)?;
        let is_in_range = (Self::MIN_BYTES..=Self::MAX_BYTES).contains(&size.0);
        if is_in_range {
            Ok(Self(size))
        } else {
            Err("expected a size from 19MiB to 1GiB".to_owned())
        }
    }
    fn show(&self) -> String {
        self.0.show()
    }
}
