//! Jobs as operators see them.

use plinth_domain::closed_set::Recorded;
use plinth_domain::id::{JobId, UserId};
use plinth_domain::job::{DEADLINE, Queue};
use plinth_domain::job_state::JobState;
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{FailedAttempt, Job, JobFilter, privacy};
use crate::jobs::JobRef;
use crate::jobs::ledger::job_ref;
use crate::page::PageRequest;
use crate::{Error, Result};

struct Row {
    id: JobId,
    queue: Recorded<Queue>,
    kind: String,
    state: JobState,
    parked: bool,
    priority: i16,
    attempt: i16,
    max_attempts: i16,
    created_at: OffsetDateTime,
    run_at: OffsetDateTime,
    started_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
    lease_owner: Option<String>,
    last_error: Option<String>,
    user_id: Option<UserId>,
    progress: Option<i16>,
    traceparent: Option<String>,
}

impl TryFrom<Row> for Job {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        // 00-<trace id>-<span id>-<flags>
        let trace_id = row
            .traceparent
            .and_then(|text| text.split('-').nth(1).map(str::to_owned));
        Ok(Self {
            id: row.id,
            queue: row.queue,
            kind: row.kind,
            state: row.state,
            parked: row.parked,
            priority: row.priority,
            attempts: row.attempt,
            max_attempts: row.max_attempts,
            created_at: row.created_at,
            run_at: row.run_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            worker: row.lease_owner,
            last_error: row.last_error.as_deref().map(privacy::error),
            user: row.user_id,
            progress: row.progress,
            trace_id,
        })
    }
}

pub(super) async fn list(db: &PgPool, filter: &JobFilter, page: PageRequest) -> Result<Vec<Job>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT id, queue, kind, state, parked, priority, attempt, max_attempts, created_at, run_at, started_at,
             finished_at, lease_owner, last_error, user_id, progress, traceparent
         FROM jobs
         WHERE id < $1
           AND ($2::text IS NULL OR queue = $2) AND ($3::text IS NULL OR kind = $3)
           AND ($4::text IS NULL OR state = $4)
           AND ($5::timestamptz IS NULL OR created_at >= $5) AND ($6::timestamptz IS NULL OR created_at < $6)
           AND ($7::uuid IS NULL OR user_id = $7)
           AND ($8::text IS NULL OR strpos(lower(last_error), lower($8)) > 0)
         ORDER BY id DESC
         LIMIT $9",
        page.before(),
        filter.queue as _,
        filter.kind,
        filter.state as _,
        filter.from,
        filter.until,
        filter.user as _,
        filter.error,
        page.fetch(),
    );
    let rows = named("jobs.list", query.fetch_all(db)).await?;
    rows.into_iter().map(Job::try_from).collect()
}

pub(super) async fn find(db: &PgPool, id: JobId) -> Result<Option<Job>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT id, queue, kind, state, parked, priority, attempt, max_attempts, created_at, run_at, started_at,
             finished_at, lease_owner, last_error, user_id, progress, traceparent
         FROM jobs WHERE id = $1",
        id as _,
    );
    named("jobs.find", query.fetch_optional(db))
        .await?
        .map(Job::try_from)
        .transpose()
}

pub(super) async fn attempts(db: &PgPool, id: JobId) -> Result<Vec<FailedAttempt>> {
    let query = sqlx::query_as!(
        FailedAttempt,
        "SELECT attempt, worker, started_at, ended_at, outcome, error FROM job_attempts
         WHERE job_id = $1 ORDER BY claim",
        id as _,
    );
    let mut attempts = named("jobs.attempts", query.fetch_all(db)).await?;
    for attempt in &mut attempts {
        attempt.error = attempt.error.as_deref().map(privacy::error);
    }
    Ok(attempts)
}

/// The state of a job that nobody else changes until the transaction ends, and whether somebody wants it stopped.
pub(super) async fn lock(
    connection: &mut PgConnection,
    id: JobId,
) -> Result<Option<(JobState, bool)>> {
    let query = sqlx::query!(
        "SELECT state, cancel_asked FROM jobs WHERE id = $1 FOR UPDATE",
        id as _
    );
    let row = named("jobs.lock", query.fetch_optional(connection)).await?;
    row.map(|row| Ok((row.state, row.cancel_asked))).transpose()
}

/// Dead letters that the filter lets through, the oldest first, but those that somebody else is at.
pub(super) async fn lock_dead(
    connection: &mut PgConnection,
    filter: &JobFilter,
    after: Uuid,
    limit: i64,
) -> Result<Vec<JobId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM jobs
         WHERE state = 'dead' AND id > $8
           AND ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR kind = $2)
           AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
           AND ($5::uuid IS NULL OR user_id = $5)
           AND ($6::text IS NULL OR strpos(lower(last_error), lower($6)) > 0)
         ORDER BY id
         LIMIT $7
         FOR UPDATE SKIP LOCKED",
        filter.queue as _,
        filter.kind,
        filter.from,
        filter.until,
        filter.user as _,
        filter.error,
        limit,
        after,
    );
    Ok(named("jobs.lock_dead", query.fetch_all(connection)).await?)
}

/// Due now, every attempt before it, and a week to begin one; the claim goes on rising, so that no former holder takes
/// the job for his.
pub(super) async fn revive(connection: &mut PgConnection, ids: &[JobId]) -> Result<Vec<JobRef>> {
    let query = sqlx::query!(
        "UPDATE jobs
         SET state = 'queued', attempt = 0, panics = 0, run_at = now(), deadline = now() + make_interval(secs => $2),
             finished_at = NULL, cancel_asked = false, parked = false, limit_key = NULL
         WHERE id = ANY($1)
         RETURNING id, queue, priority, run_at",
        ids as _,
        DEADLINE.as_secs_f64(),
    );
    let rows = named("jobs.revive", query.fetch_all(connection)).await?;
    rows.into_iter()
        .map(|row| job_ref(row.id, row.queue, row.priority, row.run_at))
        .collect()
}

/// One that runs keeps its state: its holder reads the wish.
pub(super) async fn cancel(connection: &mut PgConnection, id: JobId) -> Result<()> {
    let query = sqlx::query!(
        "UPDATE jobs
         SET cancel_asked = true,
             state = CASE WHEN state = 'running' THEN state ELSE 'cancelled' END,
             finished_at = CASE WHEN state = 'running' THEN NULL ELSE now() END,
             parked = false
         WHERE id = $1",
        id as _,
    );
    named("jobs.cancel", query.execute(connection)).await?;
    Ok(())
}
