//! What operators see of jobs and do with them: list, read, retry, cancel, redrive, pause.

mod privacy;
mod queues;
mod repository;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::closed_set::Recorded;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{JobId, UserId};
use plinth_domain::job::Queue;
use plinth_domain::job_state::{AttemptOutcome, JobState};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cleanup::PassedOver;
use crate::page::{Page, PageRequest};
use crate::unit::Unit;
use crate::{Error, Result, Stores};

pub use queues::QueueOverview;

/// Dead letters that one transaction sends on their way again.
const BATCH: i64 = 1_000;

/// By so much fewer the next transaction has after one that failed, and more after one that did not.
const NARROWING: i64 = 10;

/// Which jobs are asked for; `None` is any.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub queue: Option<Queue>,
    pub kind: Option<String>,
    pub state: Option<JobState>,
    /// Asked for at this time or later.
    pub from: Option<OffsetDateTime>,
    /// Asked for before this time.
    pub until: Option<OffsetDateTime>,
    /// Asked for by this account.
    pub user: Option<UserId>,
    /// In the last error, whatever the case of its letters.
    pub error: Option<String>,
}

impl JobFilter {
    fn told(&self) -> Value {
        json!({
            "queue": self.queue.map(Queue::as_str),
            "kind": self.kind,
            "from": self.from.map(OffsetDateTime::unix_timestamp),
            "until": self.until.map(OffsetDateTime::unix_timestamp),
            "user": self.user,
            "error": self.error,
        })
    }
}

/// A job as it stands.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: JobId,
    pub queue: Recorded<Queue>,
    pub kind: String,
    pub state: JobState,
    /// Waits until another job of the same key has ended.
    pub parked: bool,
    pub priority: i16,
    /// Attempts so far.
    pub attempts: i16,
    pub max_attempts: i16,
    pub created_at: OffsetDateTime,
    /// When it was or will be due.
    pub run_at: OffsetDateTime,
    /// When the last attempt began.
    pub started_at: Option<OffsetDateTime>,
    pub finished_at: Option<OffsetDateTime>,
    pub worker: Option<String>,
    pub last_error: Option<String>,
    pub user: Option<UserId>,
    pub progress: Option<i16>,
    /// Of whoever asked for it: every span of every attempt has the same.
    pub trace_id: Option<String>,
}

/// An attempt that did not succeed.
#[derive(Debug, Clone)]
pub struct FailedAttempt {
    pub attempt: i16,
    pub worker: String,
    pub started_at: OffsetDateTime,
    pub ended_at: OffsetDateTime,
    pub outcome: Recorded<AttemptOutcome>,
    pub error: Option<String>,
}

/// What became of the wish that a job be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// It will not run.
    Done,
    /// It runs, and is stopped when its worker renews the lease: within a third of it.
    Asked,
}

/// What came of a redrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Dead letters that are due again.
    pub count: u64,
    /// Dead letters that could not be made due; the log says why.
    pub passed_over: u64,
}

/// The operators' door.
#[derive(Clone)]
pub struct JobAdministration {
    stores: Stores,
}

impl JobAdministration {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
        }
    }

    /// Jobs, the newest first.
    pub async fn list(&self, filter: &JobFilter, page: PageRequest) -> Result<Page<Job>> {
        let jobs = repository::list(&self.stores.db, filter, page).await?;
        Ok(Page::cut(jobs, page, |job| job.id.0))
    }

    /// A job and the attempts that did not succeed, the first of them first.
    pub async fn read(&self, id: JobId) -> Result<(Job, Vec<FailedAttempt>)> {
        let job = repository::find(&self.stores.db, id)
            .await?
            .ok_or(Error::NotFound)?;
        let attempts = repository::attempts(&self.stores.db, id).await?;
        Ok((job, attempts))
    }

    /// Makes a job due now, with all of its attempts before it, that is dead, cancelled, or waits for another attempt.
    pub async fn retry(&self, origin: &Origin, id: JobId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let (state, _) = repository::lock(unit.connection(), id)
            .await?
            .ok_or(Error::NotFound)?;
        if !matches!(
            state,
            JobState::Dead | JobState::Cancelled | JobState::Retrying
        ) {
            return Err(unfit(
                state,
                "Only a job that is dead, cancelled or retrying is tried again.",
            ));
        }
        let jobs = repository::revive(unit.connection(), &[id]).await?;
        unit.push(jobs);
        unit.audit(Action::JobRetried, Target::Job(id), Outcome::Success)
            .await?;
        unit.commit().await
    }

    /// Stops a job: at once where it does not run, soon where it does.
    pub async fn cancel(&self, origin: &Origin, id: JobId) -> Result<Cancellation> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let (state, asked) = repository::lock(unit.connection(), id)
            .await?
            .ok_or(Error::NotFound)?;
        let cancellation = match state {
            JobState::Queued | JobState::Retrying => Cancellation::Done,
            JobState::Running if asked => return Ok(Cancellation::Asked),
            JobState::Running => Cancellation::Asked,
            over => return Err(unfit(over, "A job that is over is not cancelled.")),
        };
        repository::cancel(unit.connection(), id).await?;
        unit.audit(Action::JobCancelled, Target::Job(id), Outcome::Success)
            .await?;
        unit.commit().await?;
        Ok(cancellation)
    }

    /// Makes every dead letter due again that the filter, whose state is not looked at, lets through. One that fails keeps
    /// no others.
    ///
    /// # Errors
    /// PostgreSQL is away, or so many failed that it is not the dead letters. What was due by then stays due.
    pub async fn redrive(&self, origin: &Origin, filter: &JobFilter) -> Result<Redriven> {
        let (mut count, mut passed_over) = (0, PassedOver::default());
        // Onward by id: what dies again meanwhile is not met twice.
        let (mut after, mut limit) = (Uuid::nil(), BATCH);
        loop {
            let mut unit = Unit::begin(&self.stores, origin).await?;
            let dead = repository::lock_dead(unit.connection(), filter, after, limit).await?;
            let Some(last) = dead.last() else {
                return Ok(Redriven {
                    count,
                    passed_over: passed_over.rows,
                });
            };
            match redrive_these(&mut unit, filter, &dead).await {
                Ok(revived) => {
                    unit.commit().await?;
                    count += revived;
                    (after, limit) = (last.0, (limit * NARROWING).min(BATCH));
                }
                Err(error) => {
                    // Awaited: the next transaction passes over what is still locked.
                    unit.rollback().await?;
                    if dead.len() == 1 {
                        passed_over.note(format_args!("dead letter {last}"), error)?;
                        passed_over.check()?;
                        after = last.0;
                    } else if error.is_outage() && !error.is_of_statement() {
                        return Err(error);
                    } else {
                        limit = (limit / NARROWING).max(1);
                    }
                }
            }
        }
    }
}

/// Makes these due again; how many.
async fn redrive_these(unit: &mut Unit, filter: &JobFilter, dead: &[JobId]) -> Result<u64> {
    let jobs = repository::revive(unit.connection(), dead).await?;
    let count = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
    unit.push(jobs);
    let details = json!({ "filter": filter.told(), "count": count });
    unit.audit_with(
        Action::JobsRedriven,
        Target::None,
        Outcome::Success,
        details,
    )
    .await?;
    Ok(count)
}

fn unfit(state: JobState, detail: &str) -> Error {
    Error::Conflict {
        code: ErrorCode::JobState,
        detail: format!("The job is {state}. {detail}"),
    }
}
