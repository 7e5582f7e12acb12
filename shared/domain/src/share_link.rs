//! Links by which a file is shared with whoever has one: how long they live, how often they are good for a download.

use time::{Duration, OffsetDateTime};

use crate::rejection::Rejection;

/// When a link is to end. Every link does: one that was forgotten opens nothing some day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkExpiry {
    /// After [`LinkExpiry::USUAL`].
    #[default]
    Usual,
    At(OffsetDateTime),
}

impl LinkExpiry {
    pub const USUAL: Duration = Duration::days(30);
    pub const LONGEST: Duration = Duration::days(365);

    /// The moment, for a link that is made `now`; to the microsecond, which is what PostgreSQL keeps.
    pub fn resolve(self, now: OffsetDateTime) -> Result<OffsetDateTime, Rejection> {
        let at = match self {
            Self::Usual => now + Self::USUAL,
            Self::At(at) => at.replace_microsecond(at.microsecond()).unwrap_or(at),
        };
        if at <= now {
            return Err(Rejection::new(
                "not_in_the_future",
                "A link ends in the future.",
            ));
        }
        if at > now + Self::LONGEST {
            return Err(Rejection::new("too_late", "A link ends within 365 days."));
        }
        Ok(at)
    }
}

/// How many downloads a link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadLimit(i32);

impl DownloadLimit {
    pub const MOST: i32 = 1_000_000;

    pub fn parse(count: i64) -> Result<Self, Rejection> {
        match i32::try_from(count) {
            Ok(count @ 1..=Self::MOST) => Ok(Self(count)),
            _ => Err(Rejection::new(
                "out_of_range",
                format!("A link is good for 1 to {} downloads.", Self::MOST),
            )),
        }
    }

    pub fn count(self) -> i32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_link_ends_in_the_future_and_within_a_year() {
        let now = datetime!(2026-08-01 12:00 UTC);
        assert_eq!(
            LinkExpiry::default().resolve(now),
            Ok(datetime!(2026-08-31 12:00 UTC))
        );
        let at = datetime!(2026-08-02 00:00:00.123456789 UTC);
        assert_eq!(
            LinkExpiry::At(at).resolve(now),
            Ok(datetime!(2026-08-02 00:00:00.123456 UTC))
        );
        assert!(
            LinkExpiry::At(datetime!(2027-08-01 12:00 UTC))
                .resolve(now)
                .is_ok()
        );
        for (at, code) in [
            (now, "not_in_the_future"),
            (datetime!(2020-01-01 0:00 UTC), "not_in_the_future"),
            (datetime!(2027-08-01 12:00:01 UTC), "too_late"),
            (datetime!(9999-12-31 23:59 UTC), "too_late"),
        ] {
            assert_eq!(
                LinkExpiry::At(at).resolve(now).expect_err("refused").code,
                code,
                "{at}"
            );
        }
    }

    #[test]
    fn a_link_is_good_for_a_download_at_least_and_a_million_at_most() {
        for good in [1, 10, 1_000_000] {
            assert_eq!(
                DownloadLimit::parse(good).map(|limit| i64::from(limit.count())),
                Ok(good)
            );
        }
        for bad in [i64::MIN, -1, 0, 1_000_001, 1 << 32, (1 << 32) + 1, i64::MAX] {
            assert_eq!(
                DownloadLimit::parse(bad).expect_err("refused").code,
                "out_of_range",
                "{bad}"
            );
        }
    }
}
