//! How long to wait after failures: nothing for the first few, then twice as long each time, up to a cap.

use std::time::Duration;

/// A delay that grows with the failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Failures that cost nothing.
    pub free: u32,
    /// The delay after the next one.
    pub first: Duration,
    /// The longest delay.
    pub cap: Duration,
}

impl Backoff {
    /// From one nanosecond, so many doublings pass the longest `Duration`.
    const MOST_DOUBLINGS: u32 = 94;

    /// The delay after so many failures.
    pub fn delay(self, failures: u32) -> Duration {
        let Some(doublings) = failures.saturating_sub(self.free).checked_sub(1) else {
            return Duration::ZERO;
        };
        (0..doublings.min(Self::MOST_DOUBLINGS))
            .fold(self.first, |delay, _| delay.saturating_mul(2))
            .min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_delay_doubles_after_the_free_failures_up_to_the_cap() {
        let backoff = Backoff {
            free: 3,
            first: Duration::from_secs(1),
            cap: Duration::from_mins(1),
        };
        for (failures, seconds) in [
            (0, 0),
            (3, 0),
            (4, 1),
            (5, 2),
            (6, 4),
            (9, 32),
            (10, 60),
            (11, 60),
            (u32::MAX, 60),
        ] {
            assert_eq!(
                backoff.delay(failures),
                Duration::from_secs(seconds),
                "after {failures}"
            );
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_stall() {
        let endless = Backoff {
            free: 0,
            first: Duration::from_nanos(1),
            cap: Duration::MAX,
        };
        assert_eq!(endless.delay(u32::MAX), Duration::MAX);
        assert_eq!(
            Backoff {
                first: Duration::ZERO,
                ..endless
            }
            .delay(u32::MAX),
            Duration::ZERO
        );
        assert_eq!(
            Backoff {
                free: u32::MAX,
                ..endless
            }
            .delay(u32::MAX),
            Duration::ZERO
        );
        let short = Backoff {
            first: Duration::from_secs(9),
            cap: Duration::from_secs(5),
            ..endless
        };
        assert_eq!(short.delay(1), Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn the_delay_never_shrinks_and_never_passes_the_cap(
            free in 0u32..100, first: Duration, cap: Duration, failures: u32, more: u32,
        ) {
            let backoff = Backoff { free, first, cap };
            let (delay, later) = (backoff.delay(failures), backoff.delay(failures.saturating_add(more)));
            prop_assert!(delay <= later);
            prop_assert!(later <= cap);
            prop_assert_eq!(backoff.delay(free), Duration::ZERO);
            prop_assert_eq!(backoff.delay(free + 1), first.min(cap));
        }
    }
}
