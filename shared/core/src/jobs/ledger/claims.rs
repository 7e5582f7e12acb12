//! Taking jobs, many in one statement, and holding them.

use std::time::Duration;

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
    pub traceparent: Option<String>,
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
    /// Takes those of the jobs that are due, that nobody holds and whose queue is not paused.
    pub async fn claim(&self, jobs: &[JobId], owner: &str, lease: Duration) -> Result<Vec<ClaimedJob>> {
        let ids: Vec<_> = jobs.iter().map(|job| job.0).collect();
        // In the order of the ids, as everything that takes several: two that take the same ones cannot wait for
        // each other. One that is locked is being claimed, ended or changed; it comes again if it is still due.
        // No state is named where ids are given: PostgreSQL would walk a small index by state, with all the entries in
        // it that died since its last vacuum, for every group.
        let query = sqlx::query!(
            r#"WITH due AS (
                 SELECT id, state, claim, attempt, lease_owner, started_at FROM jobs
                 WHERE id = ANY($1)
                   AND NOT EXISTS (SELECT FROM paused_queues paused WHERE paused.queue = jobs.queue)
                   AND finished_at IS NULL AND NOT parked
                   AND CASE WHEN lease_until IS NULL THEN run_at <= now() ELSE lease_until < now() END
                 ORDER BY id
                 FOR UPDATE SKIP LOCKED),
             lost AS (
                 INSERT INTO job_attempts (job_id, claim, attempt, worker, started_at, ended_at, outcome, error)
                 SELECT id, claim, attempt, coalesce(lease_owner, ''), coalesce(started_at, now()), now(), 'lost',
                     'its worker died or lost its lease'
                 FROM due WHERE state = 'running')
             UPDATE jobs
             SET state = 'running', claim = jobs.claim + 1, attempt = jobs.attempt + 1, lease_owner = $2,
                 lease_until = now() + make_interval(secs => $3), started_at = now(), limit_key = NULL, progress = NULL
             FROM due
             WHERE jobs.id = due.id
             RETURNING jobs.id, jobs.claim, jobs.queue, jobs.kind, jobs.payload, jobs.payload_version, jobs.attempt,
                 jobs.max_attempts, jobs.panics, coalesce(jobs.deadline < now(), false) AS "is_overdue!",
                 jobs.cancel_asked, extract(epoch FROM now() - jobs.run_at)::float8 AS "waited!", jobs.traceparent"#,
            &ids,
            owner,
            lease.as_secs_f64(),
        );
        let rows = named("jobs.claim", query.fetch_all(&self.db)).await?;
        let claimed = rows.into_iter().map(|row| {
            Ok(ClaimedJob {
                claim: Claim { job: JobId(row.id), number: row.claim },
                queue: row.queue.parse().map_err(Error::internal)?,
                kind: row.kind,
                payload: row.payload,
                payload_version: row.payload_version,
                attempt: row.attempt,
                max_attempts: row.max_attempts,
                panics: row.panics,
                is_overdue: row.is_overdue,
                cancel_asked: row.cancel_asked,
                waited: Duration::try_from_secs_f64(row.waited).unwrap_or_default(),
                traceparent: row.traceparent,
            })
        });
        claimed.collect()
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
            &ids,
            &numbers,
            lease.as_secs_f64(),
        );
        let rows = named("jobs.renew", query.fetch_all(&self.db)).await?;
        let mut renewed = Renewed::default();
        for row in rows {
            let claim = Claim { job: JobId(row.id), number: row.claim };
            renewed.held.push(claim);
            if row.cancel_asked {
                renewed.cancel_asked.push(claim);
            }
        }
        Ok(renewed)
    }
}

/// As two arrays for a statement.
pub(super) fn columns(claims: &[Claim]) -> (Vec<uuid::Uuid>, Vec<i32>) {
    claims.iter().map(|claim| (claim.job.0, claim.number)).unzip()
}
