//! Jobs and queues in responses to operators. Payloads are not shown, because they may contain
//! personal data.

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
    /// `queued`, `running`, `retrying`, `done`, `dead` or `cancelled`.
    state: JobState,
    /// Whether the job waits for another job with the same key, for example the domain of an
    /// e-mail.
    parked: bool,
    /// `high`, `normal` or `low`.
    priority: Priority,
    /// The number of attempts so far.
    attempts: i16,
    max_attempts: i16,
    created_at: OffsetDateTime,
    /// When the job is due, or was.
    run_at: OffsetDateTime,
    /// When the last attempt started.
    started_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
    /// The process that runs the job, or ran it last.
    worker: Option<String>,
    /// The last error with its causes.
    last_error: Option<String>,
    /// The account that requested the job.
    user_id: Option<UserId>,
    /// The progress in percent; null if the kind has none.
    progress: Option<i16>,
    /// The trace of the request that created the job, and of every attempt.
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

/// The state of a queue. Finished jobs are not counted. Counts are capped at 300,000.
#[derive(Object)]
pub(super) struct QueueState {
    name: Queue,
    paused: bool,
    paused_at: Option<OffsetDateTime>,
    paused_by: Option<UserId>,
    /// When workers retry; set if they paused the queue because a dependency of its jobs is
    /// unavailable.
    paused_until: Option<OffsetDateTime>,
    /// Why workers paused the queue.
    pause_reason: Option<String>,
    /// The number of due jobs that no worker runs.
    due: i64,
    /// For how long the oldest of them has been due, in seconds.
    oldest_due_seconds: u64,
    /// The number of jobs that failed or were postponed and are due later.
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

/// Validates a text to search for. An empty text would match all jobs, and PostgreSQL does not
/// support NUL characters.
pub(super) fn search(pointer: &str, text: Option<String>) -> Result<Option<String>, Error> {
    let rejection = match &text {
        Some(text) if text.is_empty() => {
            Rejection::new("too_short", "Expected a text to search for.")
        }
        Some(text) if text.contains('\0') => {
            Rejection::new("invalid_text", "NUL characters are not allowed.")
        }
        _ => return Ok(text),
    };
    Err(Error::invalid(pointer, rejection))
}
