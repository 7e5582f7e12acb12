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
pub const JOB: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_mins(15) };

/// Between attempts to reach a store that does not answer.
pub const STORE: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(3) };

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
        let waits: Vec<u64> = [1, 2, 3, 9, 10, u32::MAX].map(|n| JOB.after(n, 1.0).as_secs()).to_vec();
        assert_eq!(waits, [2, 4, 8, 512, 900, 900]);
        assert_eq!(JOB.after(0, 1.0).as_secs(), 2, "no failure counts as the first");
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
