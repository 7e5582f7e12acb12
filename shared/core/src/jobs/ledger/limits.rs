//! Limits by key: the number of jobs in the whole fleet that use the same resource at once, such as
//! the mail server of a domain.
//!
//! A handler names the key as soon as it knows it. Beyond the limit the job is parked: it uses no
//! permit, and the dispatcher does not read it, until a job of that key ends.

use plinth_platform::database::{PgPool, named};

use super::due::job_ref;
use super::{Claim, Ledger};
use crate::Result;
use crate::jobs::JobRef;

/// The answer to a job that asks for a share of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitDecision {
    Granted,
    /// All shares are taken. The job waits until one is free, and this attempt does not count.
    Parked,
    /// This worker no longer holds the job.
    LeaseLost,
}

impl Ledger {
    /// Takes one of `limit` shares of a key for a running job, or parks the job. A job that already
    /// holds another key runs alone as a suspect, and needs no share.
    pub async fn acquire_limit(
        &self,
        claim: Claim,
        key: &str,
        limit: i64,
    ) -> Result<LimitDecision> {
        let mut transaction = self.db.begin().await?;
        // Requests for one key are serialized, so that each count is true until the row is written.
        let lock = sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key);
        named("jobs.lock_key", lock.execute(&mut *transaction)).await?;
        let query = sqlx::query_scalar!(
            r#"WITH mine AS (
                 SELECT id, claim, attempt, lease_owner, started_at, limit_key AS held,
                     limit_key IS NOT NULL OR (SELECT count(*) FROM jobs AS others
                      WHERE others.limit_key = $3 AND others.state = 'running' AND others.lease_until >= now()
                        AND others.id <> $1) < $4 AS granted
                 FROM jobs WHERE id = $1 AND claim = $2 AND lease_until IS NOT NULL),
             told AS (
                 INSERT INTO job_attempts (job_id, claim, attempt, worker, started_at, ended_at, outcome, error)
                 SELECT id, claim, attempt, coalesce(lease_owner, ''), coalesce(started_at, now()), now(), 'parked',
                     'as many as may run at once with this key did'
                 FROM mine WHERE NOT granted)
             UPDATE jobs
             SET limit_key = coalesce(mine.held, $3),
                 state = CASE WHEN mine.granted THEN 'running' ELSE 'queued' END,
                 parked = NOT mine.granted,
                 attempt = CASE WHEN mine.granted THEN jobs.attempt ELSE jobs.attempt - 1 END,
                 lease_until = CASE WHEN mine.granted THEN jobs.lease_until END,
                 lease_owner = CASE WHEN mine.granted THEN jobs.lease_owner END
             FROM mine WHERE jobs.id = mine.id
             RETURNING mine.granted AS "granted!""#,
            claim.job as _,
            claim.number,
            key,
            limit,
        );
        let granted = named("jobs.hold_key", query.fetch_optional(&mut *transaction)).await?;
        transaction.commit().await?;
        Ok(match granted {
            Some(true) => LimitDecision::Granted,
            Some(false) => LimitDecision::Parked,
            None => LimitDecision::LeaseLost,
        })
    }

    /// Releases a parked job of every key that no job holds: its holders died, or the job was
    /// parked at the moment when the last one ended. The scan steps from key to key, so its cost
    /// does not depend on the number of jobs of a key.
    pub async fn release_orphaned(&self) -> Result<Vec<JobRef>> {
        let query = sqlx::query_scalar!(
            r#"WITH RECURSIVE keys AS (
                 (SELECT limit_key FROM jobs WHERE parked ORDER BY limit_key LIMIT 1)
                 UNION ALL
                 SELECT (SELECT limit_key FROM jobs WHERE parked AND limit_key > keys.limit_key
                         ORDER BY limit_key LIMIT 1)
                 FROM keys WHERE keys.limit_key IS NOT NULL)
             SELECT limit_key AS "key!" FROM keys
             WHERE limit_key IS NOT NULL AND NOT EXISTS (
                 SELECT FROM jobs AS others
                 WHERE others.limit_key = keys.limit_key AND others.state = 'running' AND others.lease_until >= now())"#,
        );
        let keys = named("jobs.forgotten_keys", query.fetch_all(&self.db)).await?;
        if keys.is_empty() {
            Ok(Vec::new())
        } else {
            release(&self.db, &keys).await
        }
    }
}

/// Releases the first parked job of each key. A key that is listed twice releases two.
pub(super) async fn release(db: &PgPool, keys: &[String]) -> Result<Vec<JobRef>> {
    let query = sqlx::query!(
        "WITH freed AS (
             SELECT key, count(*) AS shares FROM unnest($1::text[]) AS ended (key) GROUP BY key),
         next AS (
             SELECT parked.id FROM freed CROSS JOIN LATERAL (
                 SELECT id FROM jobs
                 WHERE limit_key = freed.key AND parked
                 ORDER BY priority, run_at
                 LIMIT freed.shares
                 FOR UPDATE SKIP LOCKED) AS parked)
         UPDATE jobs SET parked = false FROM next WHERE jobs.id = next.id
         RETURNING jobs.id, jobs.queue, jobs.priority, jobs.run_at",
        keys,
    );
    let rows = named("jobs.release", query.fetch_all(db)).await?;
    rows.into_iter()
        .map(|row| job_ref(row.id, row.queue, row.priority, row.run_at))
        .collect()
}
