//! Metrics of the worker.

use std::sync::LazyLock;
use std::time::Duration;

use plinth_domain::job::Queue;
use plinth_platform::telemetry::metrics::{counter, gauge, histogram};
use prometheus::{GaugeVec, HistogramVec, IntCounterVec};

/// Buckets for the duration of attempts, from one row to a large image, in seconds.
const JOB_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Buckets for the wait of jobs, from an idle worker to a backlog, in seconds.
const WAIT_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3_600.0,
];

static ATTEMPTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_jobs_total",
        "Attempts that ended, by outcome.",
        &["queue", "kind", "outcome"],
    )
});

static ATTEMPT_DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "plinth_job_duration_seconds",
        "Duration of attempts.",
        &["queue", "kind"],
        JOB_BUCKETS,
    )
});

static DELIVERIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_job_deliveries_total",
        "Queue messages taken from Redis, by the answer of the ledger.",
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

static JOB_WAITS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram(
        "plinth_job_wait_seconds",
        "Time from when a job was due to its claim.",
        &["queue"],
        WAIT_BUCKETS,
    )
});

static READ_FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_worker_source_failures_total",
        "Failed reads of a queue from Redis.",
        &["queue"],
    )
});

static DUE: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_jobs_due",
        "Jobs that are due and that no worker holds, up to 300,000.",
        &["queue", "kind"],
    )
});

static OLDEST_DUE: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_job_oldest_due_seconds",
        "Time since the oldest of these jobs was due.",
        &["queue", "kind"],
    )
});

static IN_STATE: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_jobs_in_state",
        "Jobs that are running, retrying, parked or dead, up to 100,000.",
        &["queue", "state"],
    )
});

static PAUSED: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_queue_paused",
        "1 while a queue is paused by an administrator or because of an outage.",
        &["queue"],
    )
});

static PASSED_OVER: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_batch_items_passed_over_total",
        "Items that the clean-up, the reconciliation or the recorder of outcomes passed over after an error.",
        &["kind"],
    )
});

static BACKLOG: LazyLock<GaugeVec> = LazyLock::new(|| {
    gauge(
        "plinth_queue_backlog_seconds",
        "Time that one worker like this one needs for all due jobs: divide by the acceptable wait to get the number of workers.",
        &["queue"],
    )
});

static SANDBOX_CRASHES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter(
        "plinth_picture_process_crashes_total",
        "Crashes of the image sandbox, by signal: faults of this release, not of the files.",
        &["signal"],
    )
});

/// The answer of the ledger to a queue message: the job was claimed.
pub const CLAIMED: &str = "claimed";

/// The answer of the ledger to a queue message: the job is held, finished or not due.
pub const NOT_DUE: &str = "not_due";

/// Creates every series, so that a rate of zero differs from a missing series.
pub fn register(queues: &[Queue]) {
    for queue in queues {
        for answer in [CLAIMED, NOT_DUE] {
            DELIVERIES.with_label_values(&[queue.as_str(), answer]);
        }
        DISPATCHED.with_label_values(&[queue.as_str()]);
        READ_FAILURES.with_label_values(&[queue.as_str()]);
        JOB_WAITS.with_label_values(&[queue.as_str()]);
    }
}

pub fn count_attempt(queue: Queue, kind: &str, outcome: &'static str, duration: Duration) {
    ATTEMPTS
        .with_label_values(&[queue.as_str(), kind, outcome])
        .inc();
    ATTEMPT_DURATION
        .with_label_values(&[queue.as_str(), kind])
        .observe(duration.as_secs_f64());
}

pub fn count_deliveries(queue: Queue, answer: &'static str, messages: usize) {
    let messages = u64::try_from(messages).unwrap_or(u64::MAX);
    DELIVERIES
        .with_label_values(&[queue.as_str(), answer])
        .inc_by(messages);
}

pub fn observe_wait(queue: Queue, wait: Duration) {
    JOB_WAITS
        .with_label_values(&[queue.as_str()])
        .observe(wait.as_secs_f64());
}

pub fn count_dispatched(queue: Queue, jobs: u64) {
    DISPATCHED.with_label_values(&[queue.as_str()]).inc_by(jobs);
}

pub fn count_read_failure(queue: Queue) {
    READ_FAILURES.with_label_values(&[queue.as_str()]).inc();
}

pub fn count_sandbox_crash(signal: &str) {
    SANDBOX_CRASHES.with_label_values(&[signal]).inc();
}

pub fn set_paused(queue: Queue, is_paused: bool) {
    PAUSED
        .with_label_values(&[queue.as_str()])
        .set(f64::from(u8::from(is_paused)));
}

pub fn count_passed_over(kind: &str, items: u64) {
    PASSED_OVER.with_label_values(&[kind]).inc_by(items);
}

/// Removes the series of kinds and states that have no jobs any more.
pub fn reset_backlog() {
    DUE.reset();
    OLDEST_DUE.reset();
    IN_STATE.reset();
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a double, and these are small"
)]
pub fn set_due(queue: &str, kind: &str, jobs: i64, oldest: Duration) {
    DUE.with_label_values(&[queue, kind]).set(jobs as f64);
    OLDEST_DUE
        .with_label_values(&[queue, kind])
        .set(oldest.as_secs_f64());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a double, and these are small"
)]
pub fn set_in_state(queue: &str, state: &str, jobs: i64) {
    IN_STATE.with_label_values(&[queue, state]).set(jobs as f64);
}

/// Leaves the gauge unchanged if the time is unknown.
pub fn set_backlog_time(queue: Queue, time: Option<Duration>) {
    if let Some(time) = time {
        BACKLOG
            .with_label_values(&[queue.as_str()])
            .set(time.as_secs_f64());
    }
}
