//! How many jobs a queue claims at once: what its slots are free for, and a little ahead where jobs are short.
//!
//! Claims cost a round trip and a commit, whatever their number. A queue of short jobs claims what it will begin within
//! some milliseconds; one of long jobs claims nothing that another worker could begin sooner.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

/// Jobs are claimed ahead that will begin within so many microseconds.
const AHEAD: u64 = 20_000;

/// However short they are, no more than so many.
const MOST_AHEAD: usize = 500;

/// The newest job is one part of so many in the mean of how long jobs take.
const MEMORY: u64 = 8;

/// The pace of one queue in this process.
pub struct Pace {
    concurrency: usize,
    counts: Mutex<Counts>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    /// Claimed and not begun.
    waiting: usize,
    running: usize,
    /// How long a job takes, in microseconds; none has ended yet where it is none.
    mean: Option<u64>,
}

impl Counts {
    fn room(&self, concurrency: usize) -> usize {
        let each = self.mean.map_or(0, |mean| {
            AHEAD.saturating_mul(u64::try_from(concurrency).unwrap_or(u64::MAX)) / mean.max(1)
        });
        let ahead = usize::try_from(each).unwrap_or(usize::MAX);
        let wanted = concurrency.saturating_sub(self.running) + ahead.min(MOST_AHEAD);
        wanted.saturating_sub(self.waiting)
    }
}

impl Pace {
    pub fn new(concurrency: usize) -> Self {
        Self {
            concurrency,
            counts: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// How many jobs may be claimed now; waits until it is one at least.
    pub(super) async fn room(&self) -> usize {
        loop {
            let changed = self.changed.notified();
            let room = self.change(|counts| counts.room(self.concurrency));
            if room > 0 {
                return room;
            }
            changed.await;
        }
    }

    /// How long this process alone would take for so many jobs; `None` while it does not know how long one takes.
    pub fn time_for(&self, jobs: u64) -> Option<Duration> {
        if jobs == 0 {
            return Some(Duration::ZERO);
        }
        let concurrency = u64::try_from(self.concurrency).unwrap_or(u64::MAX);
        let mean = self.change(|counts| counts.mean)?;
        Some(Duration::from_micros(
            mean.saturating_mul(jobs) / concurrency,
        ))
    }

    /// So many were claimed.
    pub(super) fn claimed(&self, jobs: usize) {
        self.change(|counts| counts.waiting += jobs);
    }

    /// One that was claimed takes a slot.
    pub(super) fn began(&self) {
        self.change(|counts| {
            counts.waiting -= 1;
            counts.running += 1;
        });
        self.changed.notify_one();
    }

    /// One took so long.
    pub(super) fn took(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / MEMORY);
        self.change(|counts| {
            counts.mean = Some(
                counts
                    .mean
                    .map_or(took, |mean| (mean * (MEMORY - 1) + took) / MEMORY),
            );
        });
    }

    /// A slot is free again.
    pub(super) fn ended(&self) {
        self.change(|counts| counts.running -= 1);
        self.changed.notify_one();
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().expect("no holder panics"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_claimed_ahead_of_long_jobs() {
        let pace = Pace::new(4);
        assert_eq!(pace.room().await, 4, "nobody knows yet how long jobs take");
        pace.claimed(4);
        for _ in 0..4 {
            pace.began();
        }
        pace.took(Duration::from_secs(10));
        pace.ended();
        assert_eq!(pace.room().await, 1);
    }

    #[tokio::test]
    async fn short_jobs_are_claimed_ahead_within_bounds() {
        let pace = Pace::new(50);
        pace.claimed(1);
        pace.began();
        pace.took(Duration::from_micros(5));
        pace.ended();
        assert_eq!(pace.room().await, 50 + MOST_AHEAD);
        pace.took(Duration::from_millis(20));
        assert!(pace.room().await < 50 + MOST_AHEAD);
    }
}
