//! Outcomes of attempts, recorded in groups: one transaction each.

use std::collections::HashSet;
use std::time::Duration;

use plinth_domain::id::JobId;
use plinth_domain::job_state::{AttemptOutcome, JobState};
use plinth_platform::database::named;
use sqlx::PgConnection;

use super::claims::{Claim, columns};
use super::{Ledger, limits};
use crate::Result;
use crate::jobs::JobRef;

/// The end of an attempt: its outcome, with the error and the wait until the next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    Done,
    /// Failed; another attempt follows after `wait`.
    Retried {
        error: String,
        wait: Duration,
        panicked: bool,
    },
    /// A dead letter.
    Dead {
        error: String,
    },
    /// Handed back, for example at a shutdown: due at once; the attempt is not counted.
    HandedBack,
    /// Left for a worker that knows the kind and its version; the attempt is not counted.
    Unsupported {
        reason: String,
        wait: Duration,
    },
    /// Postponed because something that the job needs is unavailable; the attempt is not counted.
    Postponed {
        error: String,
        wait: Duration,
    },
    /// Stopped at the request of its owner or an operator.
    Cancelled,
}

impl AttemptEnd {
    /// Returns the name of the outcome in logs, metrics and the list of attempts.
    pub fn name(&self) -> &'static str {
        self.outcome()
            .map_or(JobState::Done.as_str(), AttemptOutcome::as_str)
    }

    /// Returns what the list of attempts keeps; nothing of one that succeeded.
    fn outcome(&self) -> Option<AttemptOutcome> {
        match self {
            Self::Done => None,
            Self::Retried { .. } => Some(AttemptOutcome::Retried),
            Self::Dead { .. } => Some(AttemptOutcome::Dead),
            Self::HandedBack => Some(AttemptOutcome::HandedBack),
            Self::Unsupported { .. } | Self::Postponed { .. } => Some(AttemptOutcome::Postponed),
            Self::Cancelled => Some(AttemptOutcome::Cancelled),
        }
    }

    /// Returns the state of the job after the outcome.
    fn state(&self) -> JobState {
        match self {
            Self::Done => JobState::Done,
            Self::Retried { .. } | Self::Unsupported { .. } | Self::Postponed { .. } => {
                JobState::Retrying
            }
            Self::Dead { .. } => JobState::Dead,
            Self::HandedBack => JobState::Queued,
            Self::Cancelled => JobState::Cancelled,
        }
    }

    fn error(&self) -> Option<&str> {
        match self {
            Self::Retried { error, .. } | Self::Postponed { error, .. } | Self::Dead { error } => {
                Some(error)
            }
            Self::Unsupported { reason, .. } => Some(reason),
            Self::Done | Self::HandedBack | Self::Cancelled => None,
        }
    }

    fn wait(&self) -> Duration {
        match self {
            Self::Retried { wait, .. }
            | Self::Unsupported { wait, .. }
            | Self::Postponed { wait, .. } => *wait,
            _ => Duration::ZERO,
        }
    }

    fn is_counted(&self) -> bool {
        !matches!(
            self,
            Self::HandedBack | Self::Unsupported { .. } | Self::Postponed { .. }
        )
    }
}

/// An attempt that ended.
#[derive(Debug, Clone)]
pub struct EndedAttempt {
    pub claim: Claim,
    pub outcome: AttemptEnd,
}

/// The result of recording outcomes.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The jobs whose outcome was written. Another worker holds the others by now.
    pub written: HashSet<JobId>,
    /// Parked jobs that are due now because a job with their key has ended.
    pub released: Vec<JobRef>,
}

impl Ledger {
    /// Records the outcomes of attempts, all or none.
    pub async fn record(&self, ended: &[EndedAttempt]) -> Result<Recorded> {
        let done: Vec<Claim> = ended
            .iter()
            .filter(|one| one.outcome == AttemptEnd::Done)
            .map(|one| one.claim)
            .collect();
        let others: Vec<&EndedAttempt> = ended
            .iter()
            .filter(|one| one.outcome != AttemptEnd::Done)
            .collect();
        let mut recorded = Recorded::default();
        let mut keys = Vec::new();
        if others.is_empty() {
            // A single statement is its own transaction, which saves two round trips.
            let mut connection = self.db.acquire().await?;
            finish(&mut connection, &done, &mut recorded, &mut keys).await?;
        } else {
            let mut transaction = self.db.begin().await?;
            if !done.is_empty() {
                finish(&mut transaction, &done, &mut recorded, &mut keys).await?;
            }
            fail(&mut transaction, &others, &mut recorded, &mut keys).await?;
            transaction.commit().await?;
        }
        if !keys.is_empty() {
            // After the commit, because a job counts until its end is committed.
            recorded.released = limits::release(&self.db, &keys).await?;
        }
        Ok(recorded)
    }
}

async fn finish(
    connection: &mut PgConnection,
    claims: &[Claim],
    recorded: &mut Recorded,
    keys: &mut Vec<String>,
) -> Result<()> {
    let (ids, numbers) = columns(claims);
    let query = sqlx::query!(
        "UPDATE jobs
         SET state = 'done', finished_at = now(), lease_until = NULL, panics = 0, progress = NULL
         FROM unnest($1::uuid[], $2::integer[]) AS ended (id, claim)
         WHERE jobs.id = ended.id AND jobs.claim = ended.claim AND jobs.lease_until IS NOT NULL
         RETURNING jobs.id, jobs.limit_key",
        &ids as _,
        &numbers,
    );
    for row in named("jobs.finish", query.fetch_all(connection)).await? {
        recorded.written.insert(row.id);
        keys.extend(row.limit_key);
    }
    Ok(())
}

async fn fail(
    connection: &mut PgConnection,
    ended: &[&EndedAttempt],
    recorded: &mut Recorded,
    keys: &mut Vec<String>,
) -> Result<()> {
    let (ids, numbers): (Vec<_>, Vec<_>) = ended
        .iter()
        .map(|one| (one.claim.job, one.claim.number))
        .unzip();
    let outcomes: Vec<_> = ended.iter().map(|one| one.outcome.outcome()).collect();
    let states: Vec<_> = ended.iter().map(|one| one.outcome.state()).collect();
    let errors: Vec<_> = ended
        .iter()
        .map(|one| one.outcome.error().map(str::to_owned))
        .collect();
    let waits: Vec<_> = ended
        .iter()
        .map(|one| one.outcome.wait().as_secs_f64())
        .collect();
    let counted: Vec<_> = ended
        .iter()
        .map(|one| i16::from(one.outcome.is_counted()))
        .collect();
    let panicked: Vec<_> = ended
        .iter()
        .map(|one| matches!(one.outcome, AttemptEnd::Retried { panicked: true, .. }))
        .collect();
    let query = sqlx::query!(
        r#"WITH ended AS (
             SELECT jobs.id, jobs.claim, jobs.attempt, jobs.lease_owner, jobs.started_at, jobs.limit_key AS key,
                 given.outcome, given.state, given.error, given.wait, given.counted, given.panicked
             FROM jobs
             JOIN unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::smallint[],
                         $8::boolean[])
                 AS given (id, claim, outcome, state, error, wait, counted, panicked)
               ON jobs.id = given.id AND jobs.claim = given.claim
             WHERE jobs.lease_until IS NOT NULL),
         told AS (
             INSERT INTO job_attempts (job_id, claim, attempt, worker, started_at, ended_at, outcome, error)
             SELECT id, claim, attempt, coalesce(lease_owner, ''), coalesce(started_at, now()), now(), outcome, error
             FROM ended)
         UPDATE jobs
         SET state = ended.state,
             run_at = CASE WHEN ended.state = 'retrying' THEN now() + make_interval(secs => ended.wait)
                           ELSE jobs.run_at END,
             attempt = jobs.attempt - 1 + ended.counted,
             last_error = coalesce(ended.error, jobs.last_error),
             panics = CASE WHEN ended.panicked THEN jobs.panics + 1 ELSE 0 END,
             finished_at = CASE WHEN ended.state IN ('dead', 'cancelled') THEN now() END,
             lease_until = NULL, lease_owner = NULL, limit_key = NULL, progress = NULL
         FROM ended
         WHERE jobs.id = ended.id
         RETURNING jobs.id, ended.key AS "key?""#,
        &ids as _,
        &numbers,
        &outcomes as _,
        &states as _,
        &errors as &[Option<String>],
        &waits,
        &counted,
        &panicked,
    );
    for row in named("jobs.fail", query.fetch_all(connection)).await? {
        recorded.written.insert(row.id);
        keys.extend(row.key);
    }
    Ok(())
}
