//! A job enters the ledger in the transaction of the write that asks for it.

use plinth_domain::id::{JobId, UserId};
use plinth_domain::job::JobPayload;
use plinth_platform::database::named;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::{Error, Result};

pub(crate) async fn insert<J: JobPayload>(
    connection: &mut PgConnection,
    job: &J,
    at: OffsetDateTime,
    traceparent: Option<&str>,
    user: Option<UserId>,
) -> Result<JobId> {
    let id = JobId::mint(at);
    let payload = serde_json::to_value(job).map_err(Error::internal)?;
    let query = sqlx::query!(
        "INSERT INTO jobs
             (id, queue, kind, payload, payload_version, max_attempts, run_at, traceparent, user_id, dispatched_at,
              created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $7, $7)",
        id.0,
        J::QUEUE.as_str(),
        J::KIND,
        payload,
        J::VERSION,
        J::MAX_ATTEMPTS,
        at,
        traceparent,
        user.map(|user| user.0),
    );
    named("jobs.insert", query.execute(connection)).await?;
    Ok(id)
}

/// The same for several of a kind, in one statement.
pub(crate) async fn insert_all<J: JobPayload>(
    connection: &mut PgConnection,
    jobs: &[J],
    at: OffsetDateTime,
    traceparent: Option<&str>,
    user: Option<UserId>,
) -> Result<Vec<JobId>> {
    let ids: Vec<_> = jobs.iter().map(|_| JobId::mint(at).0).collect();
    let payloads = jobs.iter().map(serde_json::to_value).collect::<serde_json::Result<Vec<_>>>();
    let query = sqlx::query!(
        "INSERT INTO jobs
             (id, queue, kind, payload, payload_version, max_attempts, run_at, traceparent, user_id, dispatched_at,
              created_at)
         SELECT job.id, $3, $4, job.payload, $5, $6, $7, $8, $9, $7, $7
         FROM unnest($1::uuid[], $2::jsonb[]) AS job (id, payload)",
        &ids,
        &payloads.map_err(Error::internal)?,
        J::QUEUE.as_str(),
        J::KIND,
        J::VERSION,
        J::MAX_ATTEMPTS,
        at,
        traceparent,
        user.map(|user| user.0),
    );
    named("jobs.insert_all", query.execute(connection)).await?;
    Ok(ids.into_iter().map(JobId).collect())
}

/// Whether no job of this kind was asked for since then. Until the transaction ends nobody else gets an answer.
pub(crate) async fn claim_period<J: JobPayload>(
    connection: &mut PgConnection,
    since: OffsetDateTime,
) -> sqlx::Result<bool> {
    let lock = sqlx::query!("SELECT pg_advisory_xact_lock(hashtext($1))", J::KIND);
    named("jobs.lock_period", lock.execute(&mut *connection)).await?;
    let query = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM jobs WHERE kind = $1 AND created_at > $2) AS "free!""#,
        J::KIND,
        since,
    );
    named("jobs.period_is_free", query.fetch_one(connection)).await
}
