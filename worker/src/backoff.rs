//! How long to wait before the next attempt: exponential, bounded, with full jitter.
//!
//! Full jitter (a uniform draw between zero and the bound) spreads the retries of jobs that failed
//! together, so that they do not hit an overloaded store at the same moment.

use std::time::Duration;

/// A schedule of exponential waits.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The bound of the first wait. Each later bound is twice as long.
    pub base: Duration,
    /// The longest bound.
    pub cap: Duration,
}

/// Waits between the attempts of a job.
pub const JOB_RETRY: Backoff = Backoff {
    base: Duration::from_secs(2),
    cap: Duration::from_mins(15),
};

/// A schedule for a job that waits for something unavailable. A job waits again as long as it has
/// waited in all, so the waits double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeBackoff {
    /// The shortest wait, before jitter.
    pub floor: Duration,
    /// The longest wait.
    pub cap: Duration,
}

/// Waits of a job while a store is unavailable.
pub const OUTAGE_RETRY: AgeBackoff = AgeBackoff {
    floor: Duration::from_secs(2),
    cap: Duration::from_mins(15),
};

/// Waits of a mail that its server does not accept yet. RFC 5321, section 4.5.4.1, recommends at
/// least 30 minutes for later attempts.
pub const MAIL_RETRY: AgeBackoff = AgeBackoff {
    floor: Duration::from_secs(2),
    cap: Duration::from_mins(30),
};

/// The largest share by which a wait is shortened at random, so that jobs that were postponed
/// together do not come back together.
const JITTER_SHARE: f64 = 0.25;

impl AgeBackoff {
    /// Returns the wait of a job of this age, for `draw` in 0..=1 from a random source.
    pub fn wait(self, age: Duration, draw: f64) -> Duration {
        let wait = age.clamp(self.floor, self.cap);
        wait.mul_f64(1.0 - JITTER_SHARE * draw.clamp(0.0, 1.0))
    }

    /// Returns a random wait of a job of this age.
    pub fn random_wait(self, age: Duration) -> Duration {
        self.wait(age, fastrand::f64())
    }
}

/// Waits of this process between attempts to reach an unavailable store.
pub const STORE_RETRY: Backoff = Backoff {
    base: Duration::from_millis(100),
    cap: Duration::from_secs(3),
};

impl Backoff {
    /// Returns the wait after failure number `failures` (from 1), for `draw` in 0..=1 from a random
    /// source.
    pub fn wait(self, failures: u32, draw: f64) -> Duration {
        self.bound(failures).mul_f64(draw.clamp(0.0, 1.0))
    }

    /// Returns a random wait after failure number `failures` (from 1).
    pub fn random_wait(self, failures: u32) -> Duration {
        self.wait(failures, fastrand::f64())
    }

    /// Returns the longest wait after failure number `failures`.
    fn bound(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_double_up_to_the_cap() {
        let waits: Vec<u64> = [1, 2, 3, 9, 10, u32::MAX]
            .map(|n| JOB_RETRY.wait(n, 1.0).as_secs())
            .to_vec();
        assert_eq!(waits, [2, 4, 8, 512, 900, 900]);
        assert_eq!(
            JOB_RETRY.wait(0, 1.0).as_secs(),
            2,
            "zero failures count as one"
        );
    }

    #[test]
    fn a_postponed_job_waits_again_as_long_as_it_has_waited() {
        let hour = Duration::from_hours(1);
        assert_eq!(MAIL_RETRY.wait(Duration::ZERO, 0.0), MAIL_RETRY.floor);
        assert_eq!(
            MAIL_RETRY.wait(Duration::from_mins(4), 0.0),
            Duration::from_mins(4)
        );
        assert_eq!(
            (MAIL_RETRY.wait(hour, 0.0), OUTAGE_RETRY.wait(hour, 0.0)),
            (MAIL_RETRY.cap, OUTAGE_RETRY.cap)
        );
        assert_eq!(MAIL_RETRY.wait(hour, 1.0), MAIL_RETRY.cap.mul_f64(0.75));
    }

    proptest! {
        #[test]
        fn a_wait_never_exceeds_its_bound(
            failures: u32,
            draw: f64,
            base_ms in 1_u64..10_000,
            factor in 1_u32..10_000,
        ) {
            let base = Duration::from_millis(base_ms);
            let schedule = Backoff { base, cap: base * factor };
            let draw = if draw.is_nan() { 0.5 } else { draw };
            let wait = schedule.wait(failures, draw);
            prop_assert!(wait <= schedule.cap);
            prop_assert!(schedule.bound(failures) <= schedule.bound(failures.saturating_add(1)));
        }
    }
}
