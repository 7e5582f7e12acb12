//! A job enters the ledger in the transaction of the write that asks for it.

use std::time::Duration;

use plinth_domain::id::{JobId, UserId};
use plinth_domain::job::JobPayload;
use plinth_domain::periodic::PeriodicTask;
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::JobRef;
use crate::{Error, Result};

/// What goes with a job beside its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewJob<'a> {
    pub(crate) at: OffsetDateTime,
    /// How long an attempt may begin.
    pub(crate) deadline: Duration,
    /// W3C trace context of whoever asks.
    pub(crate) traceparent: Option<&'a str>,
    pub(crate) user: Option<UserId>,
    /// When it is due, from now on.
    pub(crate) delay: Duration,
}

/// Returns the queue message of a job of this kind. `due` is PostgreSQL's time, which orders the
/// ready set.
fn job_ref<J: JobPayload>(job: JobId, due: OffsetDateTime) -> JobRef {
    JobRef {
        queue: J::QUEUE,
        job,
        rank: J::PRIORITY.rank(),
        due,
    }
}

pub(crate) async fn insert<J: JobPayload>(
    connection: &mut PgConnection,
    job: &J,
    new: NewJob<'_>,
) -> Result<JobRef> {
    let id = JobId::mint(new.at);
    let payload = serde_json::to_value(job).map_err(Error::internal)?;
    let query = sqlx::query_scalar!(
        "INSERT INTO jobs
             (id, queue, kind, payload, payload_version, max_attempts, priority, run_at, deadline, traceparent, user_id,
              created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $12), now() + make_interval(secs => $8),
             $9, $10, $11)
         RETURNING run_at",
        id as _,
        J::QUEUE as _,
        J::KIND,
        payload,
        J::VERSION,
        J::MAX_ATTEMPTS,
        J::PRIORITY.rank(),
        new.deadline.as_secs_f64(),
        new.traceparent,
        new.user as _,
        new.at,
        new.delay.as_secs_f64(),
    );
    let due = named("jobs.insert", query.fetch_one(connection)).await?;
    Ok(job_ref::<J>(id, due))
}

/// The same for several of a kind, in one statement.
pub(crate) async fn insert_all<J: JobPayload>(
    connection: &mut PgConnection,
    jobs: &[J],
    new: NewJob<'_>,
) -> Result<Vec<JobRef>> {
    let ids: Vec<_> = jobs.iter().map(|_| JobId::mint(new.at).0).collect();
    let payloads = jobs
        .iter()
        .map(serde_json::to_value)
        .collect::<serde_json::Result<Vec<_>>>();
    let query = sqlx::query!(
        "INSERT INTO jobs
             (id, queue, kind, payload, payload_version, max_attempts, priority, run_at, deadline, traceparent, user_id,
              created_at)
         SELECT job.id, $3, $4, job.payload, $5, $6, $7, now(), now() + make_interval(secs => $8), $9, $10, $11
         FROM unnest($1::uuid[], $2::jsonb[]) AS job (id, payload)
         RETURNING id, run_at",
        &ids,
        &payloads.map_err(Error::internal)?,
        J::QUEUE as _,
        J::KIND,
        J::VERSION,
        J::MAX_ATTEMPTS,
        J::PRIORITY.rank(),
        new.deadline.as_secs_f64(),
        new.traceparent,
        new.user as _,
        new.at,
    );
    let rows = named("jobs.insert_all", query.fetch_all(connection)).await?;
    Ok(rows
        .into_iter()
        .map(|row| job_ref::<J>(row.id, row.run_at))
        .collect())
}

/// Whether this tick of a periodic task is still to be turned into a job; until the transaction
/// ends nobody else gets an answer.
pub(crate) async fn claim_tick(
    connection: &mut PgConnection,
    task: PeriodicTask,
    tick: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO periodic_tasks (name, last_tick) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET last_tick = excluded.last_tick
         WHERE periodic_tasks.last_tick < excluded.last_tick",
        task as _,
        tick,
    );
    Ok(named("jobs.claim_tick", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// The last tick of a periodic task that was turned into a job, and the time as PostgreSQL has it.
pub(super) async fn last_tick(
    db: &PgPool,
    task: PeriodicTask,
) -> sqlx::Result<(Option<OffsetDateTime>, OffsetDateTime)> {
    let query = sqlx::query!(
        r#"SELECT (SELECT last_tick FROM periodic_tasks WHERE name = $1) AS last_tick, now() AS "now!""#,
        task as _,
    );
    let row = named("jobs.last_tick", query.fetch_one(db)).await?;
    Ok((row.last_tick, row.now))
}
