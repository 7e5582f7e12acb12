//! How many jobs a queue claims at once: as many as it has free permits, and a few more if jobs are
//! short.
//!
//! A claim costs a round trip and a commit, whatever the number of jobs. A queue of short jobs
//! claims those that it will start within some milliseconds. A queue of long jobs claims none that
//! another worker could start sooner.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

/// Jobs that are expected to start within this time are claimed ahead, in microseconds.
const CLAIM_AHEAD_MICROS: u64 = 20_000;

/// The largest number of jobs claimed ahead, however short they are.
const MAX_CLAIMED_AHEAD: usize = 500;

/// The weight of the newest job in the moving average of job durations is 1/8.
const DURATION_WEIGHT: u64 = 8;

/// The claim limit of one queue in this process.
pub struct ClaimLimiter {
    concurrency: usize,
    counts: Mutex<Counts>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    /// Jobs that were claimed and have not started.
    waiting: usize,
    running: usize,
    /// The average duration of a job in microseconds; `None` until the first job ends.
    mean_micros: Option<u64>,
}

impl Counts {
    fn capacity(&self, concurrency: usize) -> usize {
        let ahead = self.mean_micros.map_or(0, |mean| {
            let concurrency = u64::try_from(concurrency).unwrap_or(u64::MAX);
            CLAIM_AHEAD_MICROS.saturating_mul(concurrency) / mean.max(1)
        });
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        let wanted = concurrency.saturating_sub(self.running) + ahead.min(MAX_CLAIMED_AHEAD);
        wanted.saturating_sub(self.waiting)
    }
}

impl ClaimLimiter {
    pub fn new(concurrency: usize) -> Self {
        Self {
            concurrency,
            counts: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Waits until at least one job may be claimed, and returns how many.
    pub(super) async fn wait_for_capacity(&self) -> usize {
        loop {
            let changed = self.changed.notified();
            let capacity = self.update(|counts| counts.capacity(self.concurrency));
            if capacity > 0 {
                return capacity;
            }
            changed.await;
        }
    }

    /// Returns how long this process alone would take for a number of jobs, or `None` until the
    /// first job of the queue has ended.
    pub fn estimate_time(&self, jobs: u64) -> Option<Duration> {
        if jobs == 0 {
            return Some(Duration::ZERO);
        }
        let concurrency = u64::try_from(self.concurrency).unwrap_or(u64::MAX);
        let mean = self.update(|counts| counts.mean_micros)?;
        Some(Duration::from_micros(
            mean.saturating_mul(jobs) / concurrency,
        ))
    }

    /// Counts jobs that were claimed.
    pub(super) fn count_claimed(&self, jobs: usize) {
        self.update(|counts| counts.waiting += jobs);
    }

    /// Counts the start of a claimed job.
    pub(super) fn count_started(&self) {
        self.update(|counts| {
            counts.waiting -= 1;
            counts.running += 1;
        });
        self.changed.notify_one();
    }

    /// Adds the duration of a job to the average.
    pub(super) fn record_duration(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / DURATION_WEIGHT);
        self.update(|counts| {
            counts.mean_micros = Some(counts.mean_micros.map_or(micros, |mean| {
                (mean * (DURATION_WEIGHT - 1) + micros) / DURATION_WEIGHT
            }));
        });
    }

    /// Counts the end of a job.
    pub(super) fn count_ended(&self) {
        self.update(|counts| counts.running -= 1);
        self.changed.notify_one();
    }

    fn update<T>(&self, update: impl FnOnce(&mut Counts) -> T) -> T {
        update(&mut self.counts.lock().expect("no holder panics"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_jobs_are_not_claimed_ahead() {
        let limiter = ClaimLimiter::new(4);
        assert_eq!(
            limiter.wait_for_capacity().await,
            4,
            "no duration is known yet"
        );
        limiter.count_claimed(4);
        for _ in 0..4 {
            limiter.count_started();
        }
        limiter.record_duration(Duration::from_secs(10));
        limiter.count_ended();
        assert_eq!(limiter.wait_for_capacity().await, 1);
    }

    #[tokio::test]
    async fn short_jobs_are_claimed_ahead_within_bounds() {
        let limiter = ClaimLimiter::new(50);
        limiter.count_claimed(1);
        limiter.count_started();
        limiter.record_duration(Duration::from_micros(5));
        limiter.count_ended();
        assert_eq!(limiter.wait_for_capacity().await, 50 + MAX_CLAIMED_AHEAD);
        limiter.record_duration(Duration::from_millis(20));
        assert!(limiter.wait_for_capacity().await < 50 + MAX_CLAIMED_AHEAD);
    }
}
