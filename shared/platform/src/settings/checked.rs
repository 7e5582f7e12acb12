//! Settings with rules of their own: whoever holds one need not doubt it.

use std::ops::Deref;
use std::str::FromStr as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use poem::http::Uri;
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
    /// What [`RootKey`] is made of.
    RootSecret: |text| RootKey::parse(&Secret::new(text)).map(drop).map_err(|error| error.to_string());
    /// Seeds of keys that sign access tokens, separated by commas: the first signs, all check.
    SigningSeeds: |text| expect(
        seeds_of(text).is_some_and(|seeds| !seeds.is_empty()),
        "base64 of 32 bytes is expected, several separated by commas; `plinth-api keys generate --signing` prints one",
    );
    /// Keys that wrap the keys of files, each with a name, separated by commas: the first wraps, all unwrap.
    MasterKeyList: |text| expect(
        named_keys_of(text).is_some_and(|keys| !keys.is_empty()),
        "name:key is expected, several separated by commas; a key is base64 of 32 bytes, a name letters, digits and dashes, and none is called root",
    );
    /// Where PostgreSQL is, and as whom.
    DatabaseUrl: |text| {
        let shape = text.starts_with("postgres://") || text.starts_with("postgresql://");
        expect(shape && PgConnectOptions::from_str(text).is_ok(), "a URL like postgres://user:password@host:port/database is expected")
    };
    /// Where Redis is, and as whom.
    RedisUrl: |text| expect(::redis::Client::open(text).is_ok(), "a URL like redis://host:port/0 is expected");
    /// Where the mail server is, and as whom.
    SmtpUrl: |text| {
        let transport = lettre::SmtpTransport::from_url(text);
        expect(transport.is_ok(), "a URL like smtp://host:25 or smtps://user:password@host is expected")
    };
}

checked_texts! {
    /// A URL of HTTP.
    HttpUrl ("URL"): |text| {
        let uri = text.parse::<Uri>();
        let whole = uri.is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
        });
        expect(whole, "a URL like https://host is expected")
    };
    /// What every key in Redis begins with.
    KeyPrefix ("text"): |text| {
        let plain = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        expect(plain, "up to 64 letters, digits and dashes are expected")
    };
    /// Which log lines are written, in tracing's syntax.
    LogFilter ("filter"): |text| {
        expect(tracing_subscriber::EnvFilter::try_new(text).is_ok(), "a filter like info or info,sqlx=debug is expected")
    };
    /// Who a mail is from.
    Sender ("mailbox"): |text| {
        expect(text.parse::<lettre::message::Mailbox>().is_ok(), "a sender like Name <name@host> is expected")
    };
}

impl SigningSeeds {
    pub fn seeds(&self) -> Vec<[u8; 32]> {
        seeds_of(self.expose()).expect("a value of this type was checked")
    }
}

fn seeds_of(text: &str) -> Option<Vec<[u8; 32]>> {
    let seed = |part: &str| STANDARD.decode(part.trim()).ok()?.try_into().ok();
    text.split(',').map(seed).collect()
}

impl MasterKeyList {
    pub fn keys(&self) -> Vec<(String, [u8; 32])> {
        named_keys_of(self.expose()).expect("a value of this type was checked")
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
        if !is_name || keys.iter().any(|(known, _)| known == name) {
            return None;
        }
        keys.push((name.to_owned(), STANDARD.decode(key).ok()?.try_into().ok()?));
    }
    Some(keys)
}

/// How hard a password must be to guess, on zxcvbn's scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strength(pub u8);

impl Value for Strength {
    const KIND: &'static str = "0 to 4";
    fn parse(text: &str) -> Result<Self, String> {
        let score = text.trim().parse().ok().filter(|score| *score <= 4);
        score
            .map(Self)
            .ok_or_else(|| "a whole number from 0 to 4 is expected".to_owned())
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

fn expect(met: bool, expected: &str) -> Result<(), String> {
    if met {
        Ok(())
    } else {
        Err(expected.to_owned())
    }
}

/// What the keys of objects begin with; empty for nothing.
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
            "up to 64 letters, digits, dashes, underscores and slashes are expected",
        )?;
        Ok(Self(text.to_owned()))
    }
    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A number that is not below `MIN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtLeast<const MIN: u32>(pub u32);

impl<const MIN: u32> AtLeast<MIN> {
    /// As a number of things in memory.
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
            .ok_or_else(|| format!("a whole number from {MIN} on is expected"))
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
            .ok_or_else(|| format!("a whole number from {MIN} to {MAX} is expected"))
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
        let expected = || {
            format!(
                "a duration from {} to {} is expected",
                min.show(),
                max.show()
            )
        };
        fits.then_some(Self(duration)).ok_or_else(expected)
    }
    fn show(&self) -> String {
        self.0.show()
    }
}

/// A duration that may be zero, which switches off what it is about.
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

/// The memory of one argon2id hash in bytes; the floor is OWASP's, the ceiling is what is still verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Memory(pub ByteSize);

impl Argon2Memory {
    const FLOOR: u64 = 19 << 20;
    const CEILING: u64 = (MAX_MEMORY_KIB as u64) << 10;

    /// As argon2 takes it.
    pub fn kib(self) -> u32 {
        u32::try_from(self.0.0 / 1024).unwrap_or(u32::MAX)
    }
}

impl Value for Argon2Memory {
    const KIND: &'static str = ByteSize::KIND;
    fn parse(text: &str) -> Result<Self, String> {
        let size = ByteSize::parse(text)?;
        let affordable = (Self::FLOOR..=Self::CEILING).contains(&size.0);
        if affordable {
            Ok(Self(size))
        } else {
            Err("a size from 19MiB to 1GiB is expected".to_owned())
        }
    }
    fn show(&self) -> String {
        self.0.show()
    }
}
