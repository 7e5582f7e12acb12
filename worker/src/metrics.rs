//! What the worker counts.

use std::sync::LazyLock;
use std::time::Duration;

use plinth_domain::job::Queue;
use plinth_platform::telemetry::metrics::{counter, gauge, histogram};
use prometheus::{GaugeVec, HistogramVec, IntCounterVec};

/// Buckets for jobs, from a row to a large picture, in seconds.
const JOB_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Buckets for how long a job waits, from a hand-over to a backlog, in seconds.
const WAIT_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3_600.0,
];

static JOBS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_jobs_total",
        "Attempts that ended, by outcome.",
        &["queue", "kind", "outcome"],
    )
});

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "plinth_job_duration_seconds",
        "How long an attempt ran.",
        &["queue", "kind"],
        JOB_BUCKETS,
    )
});

static DELIVERIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_job_deliveries_total",
        "Deliveries of Redis, by what the ledger said.",
        &["queue", "answer"],
    )
});

static DISPATCHED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_jobs_dispatched_total",
        "Jobs that the dispatcher pushed to Redis.",
        &["queue"],
    )
});

static WAITS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "plinth_job_wait_seconds",
        "From when a job was due to its claim.",
        &["queue"],
        WAIT_BUCKETS,
    )
});

static SOURCE_FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_worker_source_failures_total",
        "Times Redis gave no notes of a queue.",
        &["queue"],
    )
});

static DUE: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_jobs_due",
        "Jobs that are due and that nobody holds, up to 300,000.",
        &["queue", "kind"],
    )
});

static OLDEST: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_job_oldest_due_seconds",
        "Since the oldest of them was due.",
        &["queue", "kind"],
    )
});

static OTHERS: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_jobs_in_state",
        "Jobs that run, are retried later, are parked, or are dead, up to 100,000.",
        &["queue", "state"],
    )
});

static PAUSED: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_queue_paused",
        "1 while nothing is taken from a queue: an administrator has paused it, or what its jobs need is away.",
        &["queue"],
    )
});

static PASSED_OVER: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_batch_items_passed_over_total",
        "Items that the clean-up, the reconciliation or the recorder of outcomes could not deal with and passed over.",
        &["kind"],
    )
});

static BACKLOG: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_queue_backlog_seconds",
        "What one worker such as this would need for all that is due: divide by what may wait to get the workers wanted.",
        &["queue"],
    )
});

static PICTURE_CRASHES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_picture_process_crashes_total",
        "Processes that make pictures and crashed, by signal: faults of this release, not of the files.",
        &["signal"],
    )
});

/// What the ledger said to a delivery.
pub const CLAIMED: &str = "claimed";
pub const NOT_DUE: &str = "not_due";

/// Makes every series exist, so that a rate can be told from nothing.
pub fn register(queues: &[Queue]) {
    for queue in queues {
        for answer in [CLAIMED, NOT_DUE] {
            DELIVERIES.with_label_values(&[queue.as_str(), answer]);
        }
        DISPATCHED.with_label_values(&[queue.as_str()]);
        SOURCE_FAILURES.with_label_values(&[queue.as_str()]);
        WAITS.with_label_values(&[queue.as_str()]);
    }
}

pub fn attempt_ended(queue: Queue, kind: &str, outcome: &'static str, took: Duration) {
    JOBS.with_label_values(&[queue.as_str(), kind, outcome])
        .inc();
    DURATION
        .with_label_values(&[queue.as_str(), kind])
        .observe(took.as_secs_f64());
}

pub fn delivered(queue: Queue, answer: &'static str, notes: usize) {
    let notes = u64::try_from(notes).unwrap_or(u64::MAX);
    DELIVERIES
        .with_label_values(&[queue.as_str(), answer])
        .inc_by(notes);
}

pub fn waited(queue: Queue, waited: Duration) {
    WAITS
        .with_label_values(&[queue.as_str()])
        .observe(waited.as_secs_f64());
}

pub fn dispatched(queue: Queue, jobs: u64) {
    DISPATCHED.with_label_values(&[queue.as_str()]).inc_by(jobs);
}

pub fn source_failed(queue: Queue) {
    SOURCE_FAILURES.with_label_values(&[queue.as_str()]).inc();
}

pub fn picture_process_crashed(signal: &str) {
    PICTURE_CRASHES.with_label_values(&[signal]).inc();
}

pub fn paused(queue: Queue, is_paused: bool) {
    PAUSED
        .with_label_values(&[queue.as_str()])
        .set(f64::from(u8::from(is_paused)));
}

pub fn passed_over(kind: &str, items: u64) {
    PASSED_OVER.with_label_values(&[kind]).inc_by(items);
}

/// Kinds and states that nobody is in any more shall not be told for ever.
pub fn forget_backlog() {
    DUE.reset();
    OLDEST.reset();
    OTHERS.reset();
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a double, and these are small"
)]
pub fn due(queue: &str, kind: &str, jobs: i64, oldest: Duration) {
    DUE.with_label_values(&[queue, kind]).set(jobs as f64);
    OLDEST
        .with_label_values(&[queue, kind])
        .set(oldest.as_secs_f64());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a double, and these are small"
)]
pub fn others(queue: &str, state: &str, jobs: i64) {
    OTHERS.with_label_values(&[queue, state]).set(jobs as f64);
}

/// Nothing is told while nobody knows how long a job takes and some wait.
pub fn backlog_time(queue: Queue, time: Option<Duration>) {
    if let Some(time) = time {
        BACKLOG
            .with_label_values(&[queue.as_str()])
            .set(time.as_secs_f64());
    }
}
