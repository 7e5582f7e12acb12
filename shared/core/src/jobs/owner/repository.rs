//! Jobs by the account that asked for them; only kinds that an owner may know of.

use plinth_domain::id::{JobId, UserId};
use plinth_domain::job::SHOWN_TO_OWNERS;
use plinth_domain::job_state::JobState;
use plinth_platform::database::{PgPool, named};
use time::OffsetDateTime;

use super::OwnJob;
use crate::Result;
use crate::page::PageRequest;

struct Row {
    id: JobId,
    kind: String,
    state: JobState,
    attempt: i16,
    progress: Option<i16>,
    file_id: Option<String>,
    created_at: OffsetDateTime,
    started_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
}

impl From<Row> for OwnJob {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            attempts: row.attempt,
            progress: row.progress,
            file: row.file_id.and_then(|id| id.parse().ok()),
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }
}

fn kinds() -> Vec<String> {
    SHOWN_TO_OWNERS.map(str::to_owned).to_vec()
}

pub(super) async fn list(db: &PgPool, user: UserId, page: PageRequest) -> Result<Vec<OwnJob>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT id, kind, state, attempt, progress, payload->>'file_id' AS file_id, created_at, started_at, finished_at
         FROM jobs WHERE user_id = $1 AND id < $2 AND kind = ANY($3) ORDER BY id DESC LIMIT $4",
        user as _,
        page.before(),
        &kinds(),
        page.fetch(),
    );
    let rows = named("jobs.own.list", query.fetch_all(db)).await?;
    Ok(rows.into_iter().map(OwnJob::from).collect())
}

pub(super) async fn find(db: &PgPool, user: UserId, id: JobId) -> Result<Option<OwnJob>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT id, kind, state, attempt, progress, payload->>'file_id' AS file_id, created_at, started_at, finished_at
         FROM jobs WHERE id = $1 AND user_id = $2 AND kind = ANY($3)",
        id as _,
        user as _,
        &kinds(),
    );
    Ok(named("jobs.own.find", query.fetch_optional(db))
        .await?
        .map(OwnJob::from))
}

/// As many of the jobs as there are, whoever asked for them.
pub(super) async fn find_all(db: &PgPool, ids: &[JobId]) -> Result<Vec<OwnJob>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT id, kind, state, attempt, progress, payload->>'file_id' AS file_id, created_at, started_at, finished_at
         FROM jobs WHERE id = ANY($1)",
        ids as _,
    );
    let rows = named("jobs.own.find_all", query.fetch_all(db)).await?;
    Ok(rows.into_iter().map(OwnJob::from).collect())
}
