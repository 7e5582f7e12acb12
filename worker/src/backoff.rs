//! How long to wait before the next attempt: exponential, bounded, with full jitter.
//!
//! Full jitter (a uniform draw between nothing and the bound) spreads the retries
//! of jobs that failed together, so that what was overwhelmed is not hit in step.

use std::time::Duration;

/// A schedule of waits.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The bound of the first wait; each next one is twice as long.
    pub base: Duration,
    /// No bound is longer.
    pub cap: Duration,
}

/// Between the attempts of a job.
pub const JOB: Backoff = Backoff {
    base: Duration::from_secs(2),
    cap: Duration::from_mins(15),
};

/// How long a job waits for something that is away: as long as it has waited in all, so that waits double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aging {
    /// No wait is shorter.
    pub floor: Duration,
    /// No wait is longer.
    pub cap: Duration,
}

/// For a store that is away.
pub const OUTAGE: Aging = Aging {
    floor: Duration::from_secs(2),
    cap: Duration::from_mins(15),
};

/// For a mail that its server does not take yet (RFC 5321, section 4.5.4.1: at least 30 minutes, later on).
pub const MAIL: Aging = Aging {
    floor: Duration::from_secs(2),
    cap: Duration::from_mins(30),
};

/// The part of a wait that is left to chance, so that jobs put off together do not come back together.
const SPREAD: f64 = 0.25;

impl Aging {
    /// The wait of a job of this age, for `draw` in 0..=1 from a random source.
    pub fn after(self, age: Duration, draw: f64) -> Duration {
        let wait = age.clamp(self.floor, self.cap);
        wait.mul_f64(1.0 - SPREAD * draw.clamp(0.0, 1.0))
    }

    /// The wait of a job of this age, drawn at random.
    pub fn draw(self, age: Duration) -> Duration {
        self.after(age, fastrand::f64())
    }
}

/// Between attempts to reach a store that does not answer.
pub const STORE: Backoff = Backoff {
    base: Duration::from_millis(100),
    cap: Duration::from_secs(3),
};

impl Backoff {
    /// The wait after failure number `failures` (from 1), for `draw` in 0..=1 from a random source.
    pub fn after(self, failures: u32, draw: f64) -> Duration {
        self.bound(failures).mul_f64(draw.clamp(0.0, 1.0))
    }

    /// The wait after failure number `failures`, drawn at random.
    pub fn draw(self, failures: u32) -> Duration {
        self.after(failures, fastrand::f64())
    }

    /// The longest wait after failure number `failures`.
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
            .map(|n| JOB.after(n, 1.0).as_secs())
            .to_vec();
        assert_eq!(waits, [2, 4, 8, 512, 900, 900]);
        assert_eq!(
            JOB.after(0, 1.0).as_secs(),
            2,
            "no failure counts as the first"
        );
    }

    #[test]
    fn a_job_that_is_put_off_waits_as_long_again_as_it_has_waited() {
        let hour = Duration::from_hours(1);
        assert_eq!(MAIL.after(Duration::ZERO, 0.0), MAIL.floor);
        assert_eq!(
            MAIL.after(Duration::from_mins(4), 0.0),
            Duration::from_mins(4)
        );
        assert_eq!(
            (MAIL.after(hour, 0.0), OUTAGE.after(hour, 0.0)),
            (MAIL.cap, OUTAGE.cap)
        );
        assert_eq!(MAIL.after(hour, 1.0), MAIL.cap.mul_f64(0.75));
    }

    proptest! {
        #[test]
        fn a_wait_never_passes_its_bound(failures: u32, draw: f64, base_ms in 1_u64..10_000, factor in 1_u32..10_000) {
            let base = Duration::from_millis(base_ms);
            let schedule = Backoff { base, cap: base * factor };
            let draw = if draw.is_nan() { 0.5 } else { draw };
            let wait = schedule.after(failures, draw);
            prop_assert!(wait <= schedule.cap);
            prop_assert!(schedule.bound(failures) <= schedule.bound(failures.saturating_add(1)));
        }
    }
}
