//! Taking jobs, many in one statement, and holding them.

use std::collections::HashSet;
use std::time::Duration;

use plinth_domain::closed_set::Recorded;
use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::database::named;

use super::Ledger;
use crate::{Error, Result};

/// The right to run a job: it ends with the lease, or when somebody claims the job anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    pub job: JobId,
    /// Rises with every claim of the job.
    pub number: i32,
}

/// A job that this worker holds.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    pub claim: Claim,
    pub queue: Queue,
    /// Of its priority; lower goes first.
    pub rank: i16,
    pub kind: String,
    pub payload: serde_json::Value,
    pub payload_version: i16,
    /// 1 for the first.
    pub attempt: i16,
    pub max_attempts: i16,
    /// The panics of the attempts just before.
    pub panics: i16,
    /// The time is over in which an attempt could begin.
    pub is_overdue: bool,
    pub cancel_asked: bool,
    /// Since it was due.
    pub waited: Duration,
    /// Since it was asked for.
    pub age: Duration,
    pub traceparent: Option<String>,
}

struct Row {
    id: JobId,
    claim: i32,
    queue: Recorded<Queue>,
    priority: i16,
    kind: String,
    payload: serde_json::Value,
    payload_version: i16,
    attempt: i16,
    max_attempts: i16,
    panics: i16,
    is_overdue: bool,
    cancel_asked: bool,
    waited: f64,
    age: f64,
    traceparent: Option<String>,
}

impl TryFrom<Row> for ClaimedJob {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            claim: Claim {
                job: row.id,
                number: row.claim,
            },
            queue: row
                .queue
                .known()
                .ok_or_else(|| Error::internal("a job waits in a queue of another release"))?,
            rank: row.priority,
            kind: row.kind,
            payload: row.payload,
            payload_version: row.payload_version,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            panics: row.panics,
            is_overdue: row.is_overdue,
            cancel_asked: row.cancel_asked,
            waited: Duration::try_from_secs_f64(row.waited).unwrap_or_default(),
            age: Duration::try_from_secs_f64(row.age).unwrap_or_default(),
            traceparent: row.traceparent,
        })
    }
}

/// What became of leases.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Held for another lease.
    pub held: Vec<Claim>,
    /// Of those, the ones that somebody wants stopped.
    pub cancel_asked: Vec<Claim>,
}

impl Ledger {
    /// Takes those of the jobs that are due, that nobody holds and whose queue is not paused. Of those that lost one
    /// worker after the other it takes one at a time.
    pub async fn claim(
        &self,
        jobs: &[JobId],
        owner: &str,
        lease: Duration,
    ) -> Result<Vec<ClaimedJob>> {
        let mut ids = jobs.to_vec();
        // In order, as everything that takes several: two that take the same ones cannot wait for each other.
        ids.sort_unstable();
        let mut claimed = self.claim_waiting(&ids, owner, lease).await?;
        if claimed.len() < ids.len() {
            let taken: HashSet<_> = claimed.iter().map(|job| job.claim.job).collect();
            ids.retain(|id| !taken.contains(id));
            claimed.extend(self.take_over(&ids, owner, lease).await?);
        }
        self.one_suspect_at_a_time(claimed).await
    }

    /// Those that nobody holds. No state is named where ids are given: PostgreSQL would walk a small index by state, with
    /// all the entries in it that died since its last vacuum, for every group.
    async fn claim_waiting(
        &self,
        ids: &[JobId],
        owner: &str,
        lease: Duration,
    ) -> Result<Vec<ClaimedJob>> {
        let query = sqlx::query_as!(
            Row,
            r#"UPDATE jobs
             SET state = 'running', claim = claim + 1, attempt = attempt + 1, lease_owner = $2,
                 lease_until = now() + make_interval(secs => $3), started_at = now(), limit_key = NULL, progress = NULL
             WHERE id = ANY($1) AND lease_until IS NULL AND finished_at IS NULL AND NOT parked AND run_at <= now()
               AND NOT EXISTS (SELECT FROM paused_queues paused
                               WHERE paused.queue = jobs.queue AND (until IS NULL OR until > now()))
             RETURNING id, claim, queue, priority, kind, payload, payload_version, attempt, max_attempts, panics,
                 coalesce(deadline < now(), false) AS "is_overdue!", cancel_asked,
                 extract(epoch FROM now() - run_at)::float8 AS "waited!",
                 extract(epoch FROM now() - created_at)::float8 AS "age!", traceparent"#,
            ids as _,
            owner,
            lease.as_secs_f64(),
        );
        let rows = named("jobs.claim", query.fetch_all(&self.db)).await?;
        rows.into_iter().map(ClaimedJob::try_from).collect()
    }

    /// Those whose holder died, which is told of their last attempt.
    async fn take_over(
        &self,
        ids: &[JobId],
        owner: &str,
        lease: Duration,
    ) -> Result<Vec<ClaimedJob>> {
        let query = sqlx::query_as!(
            Row,
            r#"WITH due AS (
                 SELECT id, claim, attempt, lease_owner, started_at FROM jobs
                 WHERE id = ANY($1) AND lease_until < now()
                   AND NOT EXISTS (SELECT FROM paused_queues paused
                               WHERE paused.queue = jobs.queue AND (until IS NULL OR until > now()))
                 ORDER BY id
                 FOR UPDATE SKIP LOCKED),
             lost AS (
                 INSERT INTO job_attempts (job_id, claim, attempt, worker, started_at, ended_at, outcome, error)
                 SELECT id, claim, attempt, coalesce(lease_owner, ''), coalesce(started_at, now()), now(), 'lost',
                     'its worker died or lost its lease'
                 FROM due)
             UPDATE jobs
             SET claim = jobs.claim + 1, attempt = jobs.attempt + 1, lease_owner = $2,
                 lease_until = now() + make_interval(secs => $3), started_at = now(), limit_key = NULL, progress = NULL
             FROM due
             WHERE jobs.id = due.id
             RETURNING jobs.id, jobs.claim, jobs.queue, jobs.priority, jobs.kind, jobs.payload, jobs.payload_version, jobs.attempt,
                 jobs.max_attempts, jobs.panics, coalesce(jobs.deadline < now(), false) AS "is_overdue!",
                 jobs.cancel_asked, extract(epoch FROM now() - jobs.run_at)::float8 AS "waited!",
                 extract(epoch FROM now() - jobs.created_at)::float8 AS "age!", jobs.traceparent"#,
            ids as _,
            owner,
            lease.as_secs_f64(),
        );
        let rows = named("jobs.take_over", query.fetch_all(&self.db)).await?;
        rows.into_iter().map(ClaimedJob::try_from).collect()
    }

    /// Holds the jobs for another lease. One that is being ended at this moment is passed over.
    pub async fn renew(&self, claims: &[Claim], lease: Duration) -> Result<Renewed> {
        let (ids, numbers) = columns(claims);
        let query = sqlx::query!(
            "WITH held AS (
                 SELECT jobs.id FROM jobs
                 JOIN unnest($1::uuid[], $2::integer[]) AS mine (id, claim)
                   ON jobs.id = mine.id AND jobs.claim = mine.claim
                 WHERE jobs.lease_until IS NOT NULL
                 ORDER BY jobs.id
                 FOR UPDATE OF jobs SKIP LOCKED)
             UPDATE jobs SET lease_until = now() + make_interval(secs => $3)
             FROM held WHERE jobs.id = held.id
             RETURNING jobs.id, jobs.claim, jobs.cancel_asked",
            &ids as _,
            &numbers,
            lease.as_secs_f64(),
        );
        let rows = named("jobs.renew", query.fetch_all(&self.db)).await?;
        let mut renewed = Renewed::default();
        for row in rows {
            let claim = Claim {
                job: row.id,
                number: row.claim,
            };
            renewed.held.push(claim);
            if row.cancel_asked {
                renewed.cancel_asked.push(claim);
            }
        }
        Ok(renewed)
    }

    /// Notes how far the attempt has come, of 100; false when the job is no longer ours.
    pub async fn progress(&self, claim: Claim, percent: i16) -> Result<bool> {
        let query = sqlx::query!(
            "UPDATE jobs SET progress = $3 WHERE id = $1 AND claim = $2 AND lease_until IS NOT NULL",
            claim.job as _,
            claim.number,
            percent,
        );
        Ok(named("jobs.progress", query.execute(&self.db))
            .await?
            .rows_affected()
            == 1)
    }
}

/// As two arrays for a statement.
pub(super) fn columns(claims: &[Claim]) -> (Vec<JobId>, Vec<i32>) {
    claims.iter().map(|claim| (claim.job, claim.number)).unzip()
}
