//! The single source of the current time, so that a test can set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

/// A clock. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Returns the current time in UTC, truncated to the microsecond, which is PostgreSQL's
    /// precision.
    #[expect(
        clippy::disallowed_methods,
        reason = "all other code reads the time through this clock"
    )]
    pub fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc()
            + Duration::milliseconds(self.offset_ms.load(Ordering::Relaxed));
        now.replace_nanosecond(now.microsecond() * 1000)
            .expect("microseconds are under a second")
    }

    /// Moves this clock and its clones forward. For tests.
    pub fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.whole_milliseconds())
            .expect("a test moves the clock by less than the age of the universe");
        self.offset_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

/// Returns the milliseconds since the Unix epoch, or 0 for a time before it.
pub fn unix_ms(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}
