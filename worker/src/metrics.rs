//! What the worker counts.

use std::sync::LazyLock;
use std::time::Duration;

use plinth_domain::job::Queue;
use plinth_platform::telemetry::metrics::{counter, histogram};
use prometheus::{HistogramVec, IntCounterVec};

/// Buckets for jobs, from a row to a large picture, in seconds.
const JOB_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

static JOBS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter("plinth_jobs_total", "Attempts that ended, by outcome.", &["queue", "kind", "outcome"])
});

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram("plinth_job_duration_seconds", "How long an attempt ran.", &["queue", "kind"], JOB_BUCKETS)
});

static DELIVERIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_job_deliveries_total",
        "Deliveries of Redis, by what the ledger said.",
        &["queue", "answer"],
    )
});

static DISPATCHED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter("plinth_jobs_dispatched_total", "Jobs that the dispatcher pushed to Redis.", &["queue"])
});

static RESTARTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter("plinth_worker_backend_restarts_total", "Times a queue's backend was started again.", &["queue"])
});

/// What the ledger said to a delivery.
pub const CLAIMED: &str = "claimed";
pub const NOT_DUE: &str = "not_due";
pub const UNANSWERED: &str = "unanswered";

/// Makes every series exist, so that a rate can be told from nothing.
pub fn register(queues: &[Queue]) {
    for queue in queues {
        for answer in [CLAIMED, NOT_DUE, UNANSWERED] {
            DELIVERIES.with_label_values(&[queue.as_str(), answer]);
        }
        DISPATCHED.with_label_values(&[queue.as_str()]);
        RESTARTS.with_label_values(&[queue.as_str()]);
    }
}

pub fn attempt_ended(queue: Queue, kind: &str, outcome: &'static str, took: Duration) {
    JOBS.with_label_values(&[queue.as_str(), kind, outcome]).inc();
    DURATION.with_label_values(&[queue.as_str(), kind]).observe(took.as_secs_f64());
}

pub fn delivered(queue: Queue, answer: &'static str) {
    DELIVERIES.with_label_values(&[queue.as_str(), answer]).inc();
}

pub fn dispatched(queue: Queue, jobs: u64) {
    DISPATCHED.with_label_values(&[queue.as_str()]).inc_by(jobs);
}

pub fn backend_restarted(queue: Queue) {
    RESTARTS.with_label_values(&[queue.as_str()]).inc();
}
