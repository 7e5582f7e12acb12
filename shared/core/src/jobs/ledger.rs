//! The worker's side of the ledger: claim, renew, and record how it ended.
//!
//! Every write after the claim names the attempt, so that a worker whose lease was taken over changes nothing.

use std::time::Duration;

use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::database::named;
use time::OffsetDateTime;

use super::Note;
use crate::{Result, Stores};

/// A job that was handed to Redis and not claimed within this time is handed over again.
const PUSHED_BUT_FORGOTTEN: Duration = Duration::from_secs(10);

/// A job that this worker holds.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    pub id: JobId,
    pub queue: Queue,
    pub kind: String,
    pub payload: serde_json::Value,
    pub payload_version: i16,
    /// 1 for the first.
    pub attempt: i16,
    pub max_attempts: i16,
    pub traceparent: Option<String>,
}

/// The door to the ledger.
#[derive(Clone)]
pub struct Ledger {
    stores: Stores,
}

impl Ledger {
    pub fn new(stores: &Stores) -> Self {
        Self { stores: stores.clone() }
    }

    /// Takes a due job that nobody holds; `None` when it is held, finished, not due or unknown.
    pub async fn claim(&self, id: JobId, owner: &str, lease: Duration) -> Result<Option<ClaimedJob>> {
        let now = self.stores.clock.now();
        let query = sqlx::query!(
            "UPDATE jobs
             SET state = 'running', attempt = attempt + 1, lease_owner = $2, lease_until = $3
             WHERE id = $1 AND (
                 (state IN ('queued', 'retrying') AND run_at <= $4) OR (state = 'running' AND lease_until < $4))
             RETURNING queue, kind, payload, payload_version, attempt, max_attempts, traceparent",
            id.0,
            owner,
            now + lease,
            now,
        );
        let Some(row) = named("jobs.claim", query.fetch_optional(&self.stores.db)).await? else {
            return Ok(None);
        };
        Ok(Some(ClaimedJob {
            id,
            queue: row.queue.parse().map_err(crate::Error::internal)?,
            kind: row.kind,
            payload: row.payload,
            payload_version: row.payload_version,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            traceparent: row.traceparent,
        }))
    }

    /// Holds the job for another lease; false when it is no longer ours.
    pub async fn renew(&self, id: JobId, attempt: i16, lease: Duration) -> Result<bool> {
        let query = sqlx::query!(
            "UPDATE jobs SET lease_until = $3 WHERE id = $1 AND attempt = $2 AND state = 'running'",
            id.0,
            attempt,
            self.stores.clock.now() + lease,
        );
        Ok(named("jobs.renew", query.execute(&self.stores.db)).await?.rows_affected() == 1)
    }

    /// Records success; false when the job is no longer ours.
    pub async fn finish(&self, id: JobId, attempt: i16) -> Result<bool> {
        let query = sqlx::query!(
            "UPDATE jobs SET state = 'done', finished_at = $3, lease_until = NULL, lease_owner = NULL
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
            id.0,
            attempt,
            self.stores.clock.now(),
        );
        Ok(named("jobs.finish", query.execute(&self.stores.db)).await?.rows_affected() == 1)
    }

    /// Records a failure that is tried again at `at`; false when the job is no longer ours.
    pub async fn retry(&self, id: JobId, attempt: i16, error: &str, at: OffsetDateTime) -> Result<bool> {
        let query = sqlx::query!(
            "UPDATE jobs
             SET state = 'retrying', run_at = $3, last_error = $4, dispatched_at = NULL, lease_until = NULL,
                 lease_owner = NULL
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
            id.0,
            attempt,
            at,
            error,
        );
        Ok(named("jobs.retry", query.execute(&self.stores.db)).await?.rows_affected() == 1)
    }

    /// Records a failure for good: a dead letter; false when the job is no longer ours.
    pub async fn bury(&self, id: JobId, attempt: i16, error: &str) -> Result<bool> {
        let query = sqlx::query!(
            "UPDATE jobs
             SET state = 'dead', finished_at = $3, last_error = $4, lease_until = NULL, lease_owner = NULL
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
            id.0,
            attempt,
            self.stores.clock.now(),
            error,
        );
        Ok(named("jobs.bury", query.execute(&self.stores.db)).await?.rows_affected() == 1)
    }

    /// Gives a job back unharmed, as at a shutdown: due at once, the attempt not counted.
    pub async fn hand_back(&self, id: JobId, attempt: i16) -> Result<bool> {
        let query = sqlx::query!(
            "UPDATE jobs
             SET state = 'queued', attempt = attempt - 1, dispatched_at = NULL, lease_until = NULL, lease_owner = NULL
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
            id.0,
            attempt,
        );
        Ok(named("jobs.hand_back", query.execute(&self.stores.db)).await?.rows_affected() == 1)
    }

    /// Leaves a job that this worker does not know for another one, at `at`; the attempt is not counted.
    pub async fn postpone(&self, id: JobId, attempt: i16, at: OffsetDateTime, reason: &str) -> Result<bool> {
        let query = sqlx::query!(
            "UPDATE jobs
             SET state = 'retrying', attempt = attempt - 1, run_at = $3, last_error = $4, dispatched_at = NULL,
                 lease_until = NULL, lease_owner = NULL
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
            id.0,
            attempt,
            at,
            reason,
        );
        Ok(named("jobs.postpone", query.execute(&self.stores.db)).await?.rows_affected() == 1)
    }

    /// Marks up to `limit` jobs as handed to Redis now and names them: those that are due and were never
    /// handed over, or so long ago that Redis must have lost them, or whose holder has died.
    pub async fn take_due(&self, queues: &[Queue], limit: i64) -> Result<Vec<Note>> {
        let now = self.stores.clock.now();
        let queues: Vec<String> = queues.iter().map(|queue| queue.as_str().to_owned()).collect();
        let query = sqlx::query!(
            "WITH due AS (
                 SELECT id FROM jobs
                 WHERE queue = ANY($1)
                   AND ((state IN ('queued', 'retrying') AND run_at <= $2
                         AND (dispatched_at IS NULL OR dispatched_at < $3))
                     OR (state = 'running' AND lease_until < $2
                         AND (dispatched_at IS NULL OR dispatched_at < lease_until OR dispatched_at < $3)))
                 ORDER BY run_at
                 LIMIT $4
                 FOR UPDATE SKIP LOCKED)
             UPDATE jobs SET dispatched_at = $2 FROM due WHERE jobs.id = due.id
             RETURNING jobs.id, jobs.queue, jobs.attempt",
            &queues,
            now,
            now - PUSHED_BUT_FORGOTTEN,
            limit,
        );
        let rows = named("jobs.take_due", query.fetch_all(&self.stores.db)).await?;
        rows.into_iter()
            .map(|row| {
                let queue = row.queue.parse().map_err(crate::Error::internal)?;
                Ok(Note { queue, job: JobId(row.id), attempt: row.attempt })
            })
            .collect()
    }
}
