//! API keys: what their owners call them, and how long they may live.

use time::{Duration, OffsetDateTime};

use crate::rejection::Rejection;
use crate::text::bounded_line;

/// By what its owner tells a key from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyName(String);

impl ApiKeyName {
    pub const MAX_CHARS: usize = 100;

    pub fn parse(text: &str) -> Result<Self, Rejection> {
        Ok(Self(bounded_line("A name", text, Self::MAX_CHARS)?))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// When a key is to end. Every key does: one that was forgotten opens nothing some day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expiry {
    /// After [`Expiry::USUAL`].
    #[default]
    Usual,
    At(OffsetDateTime),
    InDays(u16),
}

impl Expiry {
    pub const USUAL: Duration = Duration::days(90);
    pub const LONGEST: Duration = Duration::days(365);

    /// The moment, for a key that is made `now`; to the microsecond, which is what PostgreSQL keeps.
    pub fn resolve(self, now: OffsetDateTime) -> Result<OffsetDateTime, Rejection> {
        let at = match self {
            Self::Usual => now + Self::USUAL,
            Self::At(at) => at.replace_microsecond(at.microsecond()).unwrap_or(at),
            Self::InDays(days) => now + Duration::days(days.into()),
        };
        if at <= now {
            return Err(Rejection::new(
                "not_in_the_future",
                "A key ends in the future.",
            ));
        }
        if at > now + Self::LONGEST {
            return Err(Rejection::new("too_late", "A key ends within 365 days."));
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_key_ends_in_the_future_and_within_a_year() {
        let now = datetime!(2026-08-01 12:00 UTC);
        assert_eq!(
            Expiry::default().resolve(now),
            Ok(datetime!(2026-10-30 12:00 UTC))
        );
        assert_eq!(
            Expiry::InDays(365).resolve(now),
            Ok(datetime!(2027-08-01 12:00 UTC))
        );
        let at = datetime!(2026-08-02 00:00:00.123456789 UTC);
        assert_eq!(
            Expiry::At(at).resolve(now),
            Ok(datetime!(2026-08-02 00:00:00.123456 UTC))
        );
        for (expiry, code) in [
            (Expiry::InDays(0), "not_in_the_future"),
            (Expiry::At(now), "not_in_the_future"),
            (Expiry::InDays(366), "too_late"),
            (Expiry::At(datetime!(9999-12-31 23:59 UTC)), "too_late"),
        ] {
            assert_eq!(
                expiry.resolve(now).expect_err("refused").code,
                code,
                "{expiry:?}"
            );
        }
    }
}
