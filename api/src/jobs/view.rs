//! Jobs and queues as operators see them. What a job carries is not shown: it may be somebody's address.

use plinth_core::Error;
use plinth_core::jobs::{FailedAttempt, Job, QueueOverview};
use plinth_domain::closed_set::Recorded;
use plinth_domain::id::{JobId, UserId};
use plinth_domain::job::{Priority, Queue};
use plinth_domain::job_state::{AttemptOutcome, JobState};
use plinth_domain::rejection::Rejection;
use poem_openapi::Object;
use time::OffsetDateTime;

/// A background job.
#[derive(Object)]
pub(super) struct BackgroundJob {
    id: JobId,
    queue: Recorded<Queue>,
    /// E.g. `email.verification`. Later releases add kinds, and jobs of former kinds stay.
    kind: String,
    state: JobState,
    /// Whether it waits until another job of the same key, e.g. the domain of a mail, has ended.
    parked: bool,
    priority: Priority,
    /// Attempts so far.
    attempts: i16,
    max_attempts: i16,
    created_at: OffsetDateTime,
    /// When it was or will be due.
    run_at: OffsetDateTime,
    /// When the last attempt began.
    started_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
    /// The process that holds it, or did last.
    worker: Option<String>,
    /// With all of its causes.
    last_error: Option<String>,
    /// The account that asked for it.
    user_id: Option<UserId>,
    /// Of 100, where the kind tells it.
    progress: Option<i16>,
    /// Of the request that asked for it and of every attempt.
    trace_id: Option<String>,
}

impl From<Job> for BackgroundJob {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            queue: job.queue,
            kind: job.kind,
            state: job.state,
            parked: job.parked,
            priority: Priority::of_rank(job.priority).unwrap_or(Priority::Normal),
            attempts: job.attempts,
            max_attempts: job.max_attempts,
            created_at: job.created_at,
            run_at: job.run_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            worker: job.worker,
            last_error: job.last_error,
            user_id: job.user,
            progress: job.progress,
            trace_id: job.trace_id,
        }
    }
}

/// An attempt that did not succeed.
#[derive(Object)]
pub(super) struct JobAttempt {
    attempt: i16,
    worker: String,
    started_at: OffsetDateTime,
    ended_at: OffsetDateTime,
    outcome: Recorded<AttemptOutcome>,
    error: Option<String>,
}

impl From<FailedAttempt> for JobAttempt {
    fn from(attempt: FailedAttempt) -> Self {
        Self {
            attempt: attempt.attempt,
            worker: attempt.worker,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome,
            error: attempt.error,
        }
    }
}

/// A queue at a glance. What is finished is not counted, and no number rises above 300,000.
#[derive(Object)]
pub(super) struct QueueState {
    name: Queue,
    paused: bool,
    paused_at: Option<OffsetDateTime>,
    paused_by: Option<UserId>,
    /// When workers try again, if they have paused it themselves because what its jobs need does not answer.
    paused_until: Option<OffsetDateTime>,
    /// Why they have paused it.
    pause_reason: Option<String>,
    /// Jobs that are due and that nobody holds.
    due: i64,
    /// Since the oldest of them was due.
    oldest_due_seconds: u64,
    /// Jobs that have failed or were put off, and are tried again when their time comes.
    retrying: i64,
    running: i64,
    parked: i64,
    dead: i64,
}

impl From<QueueOverview> for QueueState {
    fn from(queue: QueueOverview) -> Self {
        let (paused_until, pause_reason) = queue.outage.unzip();
        Self {
            name: queue.queue,
            paused: queue.paused.is_some(),
            paused_at: queue.paused.map(|(at, _)| at),
            paused_by: queue.paused.and_then(|(_, by)| by),
            paused_until,
            pause_reason,
            due: queue.due,
            oldest_due_seconds: queue.oldest.as_secs(),
            retrying: queue.retrying,
            running: queue.running,
            parked: queue.parked,
            dead: queue.dead,
        }
    }
}

/// A text to look for; an empty one would find everything, and PostgreSQL knows no NUL.
pub(super) fn search(pointer: &str, text: Option<String>) -> Result<Option<String>, Error> {
    let rejection = match &text {
        Some(text) if text.is_empty() => {
            Rejection::new("too_short", "There is nothing to look for.")
        }
        Some(text) if text.contains('\0') => {
            Rejection::new("invalid_text", "No text has a NUL in it.")
        }
        _ => return Ok(text),
    };
    Err(Error::invalid(pointer, rejection))
}
