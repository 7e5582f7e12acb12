//! How attempts ended, many in one transaction.

use std::collections::HashSet;
use std::time::Duration;

use plinth_domain::id::JobId;
use plinth_domain::job_state::{AttemptOutcome, JobState};
use plinth_platform::database::named;
use sqlx::PgConnection;

use super::claims::{Claim, columns};
use super::{Ledger, limits};
use crate::Result;
use crate::jobs::Note;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HowItEnded {
    Done,
    /// Tried again after a while.
    Retried {
        error: String,
        wait: Duration,
        panicked: bool,
    },
    /// A dead letter.
    Dead {
        error: String,
    },
    /// Given back unharmed, as at a shutdown: due at once, the attempt not counted.
    HandedBack,
    /// Left for a worker that knows the kind; the attempt is not counted.
    Postponed {
        reason: String,
        wait: Duration,
    },
    /// Put off because something that the job needs is away; the attempt is not counted.
    PutOff {
        error: String,
        wait: Duration,
    },
    /// Stopped because somebody asked for that.
    Cancelled,
}

impl HowItEnded {
    /// As logs, metrics and the list of attempts name it.
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
            Self::Postponed { .. } | Self::PutOff { .. } => Some(AttemptOutcome::Postponed),
            Self::Cancelled => Some(AttemptOutcome::Cancelled),
        }
    }

    /// The state that the job has from now on.
    fn state(&self) -> JobState {
        match self {
            Self::Done => JobState::Done,
            Self::Retried { .. } | Self::Postponed { .. } | Self::PutOff { .. } => {
                JobState::Retrying
            }
            Self::Dead { .. } => JobState::Dead,
            Self::HandedBack => JobState::Queued,
            Self::Cancelled => JobState::Cancelled,
        }
    }

    fn error(&self) -> Option<&str> {
        match self {
            Self::Retried { error, .. } | Self::PutOff { error, .. } | Self::Dead { error } => {
                Some(error)
            }
            Self::Postponed { reason, .. } => Some(reason),
            Self::Done | Self::HandedBack | Self::Cancelled => None,
        }
    }

    fn wait(&self) -> Duration {
        match self {
            Self::Retried { wait, .. }
            | Self::Postponed { wait, .. }
            | Self::PutOff { wait, .. } => *wait,
            _ => Duration::ZERO,
        }
    }

    fn counts(&self) -> bool {
        !matches!(
            self,
            Self::HandedBack | Self::Postponed { .. } | Self::PutOff { .. }
        )
    }
}

/// An attempt that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub claim: Claim,
    pub how: HowItEnded,
}

/// What came of writing it down.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The jobs that were still ours; the others are held by somebody else by now.
    pub ours: HashSet<JobId>,
    /// Jobs that may go on now because one with their key has ended.
    pub released: Vec<Note>,
}

impl Ledger {
    /// Writes down how attempts ended, all or none.
    pub async fn record(&self, ended: &[Ended]) -> Result<Recorded> {
        let done: Vec<Claim> = ended
            .iter()
            .filter(|one| one.how == HowItEnded::Done)
            .map(|one| one.claim)
            .collect();
        let others: Vec<&Ended> = ended
            .iter()
            .filter(|one| one.how != HowItEnded::Done)
            .collect();
        let mut recorded = Recorded::default();
        let mut keys = Vec::new();
        if others.is_empty() {
            // One statement is its own transaction: no more round trips than one.
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
            // After the commit: only then does a job that ended not count any more.
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
        recorded.ours.insert(row.id);
        keys.extend(row.limit_key);
    }
    Ok(())
}

async fn fail(
    connection: &mut PgConnection,
    ended: &[&Ended],
    recorded: &mut Recorded,
    keys: &mut Vec<String>,
) -> Result<()> {
    let (ids, numbers): (Vec<_>, Vec<_>) = ended
        .iter()
        .map(|one| (one.claim.job, one.claim.number))
        .unzip();
    let outcomes: Vec<_> = ended.iter().map(|one| one.how.outcome()).collect();
    let states: Vec<_> = ended.iter().map(|one| one.how.state()).collect();
    let errors: Vec<_> = ended
        .iter()
        .map(|one| one.how.error().map(str::to_owned))
        .collect();
    let waits: Vec<_> = ended
        .iter()
        .map(|one| one.how.wait().as_secs_f64())
        .collect();
    let counted: Vec<_> = ended
        .iter()
        .map(|one| i16::from(one.how.counts()))
        .collect();
    let panicked: Vec<_> = ended
        .iter()
        .map(|one| matches!(one.how, HowItEnded::Retried { panicked: true, .. }))
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
        recorded.ours.insert(row.id);
        keys.extend(row.key);
    }
    Ok(())
}
