//! The tables of keys whose copies Redis was not told to forget, and of who believes copies until when.

use std::time::Duration;

use plinth_platform::database::{PgPool, named};
use sqlx::PgExecutor;
use time::OffsetDateTime;

/// Keys told in one go.
pub(super) const BATCH: i64 = 1_000;

/// A key with the time of its last change.
pub(super) struct StaleCopy {
    pub(super) key: String,
    pub(super) changed_at: OffsetDateTime,
}

pub(crate) async fn note(
    db: impl PgExecutor<'_>,
    keys: &[String],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO stale_copies (key, changed_at) SELECT DISTINCT key, $2::timestamptz FROM unnest($1::text[]) AS key
         ON CONFLICT (key) DO UPDATE SET changed_at = GREATEST(stale_copies.changed_at, EXCLUDED.changed_at)",
        keys,
        at,
    );
    named("stale_copies.note", query.execute(db))
        .await
        .map(drop)
}

/// Returns a batch of the notes after this key, in the order of their keys, without the first `skip`.
pub(super) async fn list(db: &PgPool, after: &str, skip: i64) -> sqlx::Result<Vec<StaleCopy>> {
    let query = sqlx::query_as!(
        StaleCopy,
        "SELECT key, changed_at FROM stale_copies WHERE key > $1 ORDER BY key LIMIT $2 OFFSET $3",
        after,
        BATCH,
        skip,
    );
    named("stale_copies.list", query.fetch_all(db)).await
}

pub(super) async fn count(db: &PgPool) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM stale_copies"#);
    named("stale_copies.count", query.fetch_one(db)).await
}

/// Forgets a key, unless it was noted again since it was listed.
pub(super) async fn settle(db: &PgPool, copy: &StaleCopy) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "DELETE FROM stale_copies WHERE key = $1 AND changed_at = $2",
        copy.key,
        copy.changed_at
    );
    named("stale_copies.settle", query.execute(db))
        .await
        .map(drop)
}

/// Enters that a process believes copies for so long from now on, and removes entries that ended long ago.
pub(super) async fn enter(db: &PgPool, process: &str, lease: Duration) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "WITH ended AS (DELETE FROM cache_trust WHERE believes_until < now() - interval '1 hour')
         INSERT INTO cache_trust (process, believes_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
         ON CONFLICT (process) DO UPDATE SET believes_until = EXCLUDED.believes_until",
        process,
        lease.as_secs_f64(),
    );
    named("cache_trust.enter", query.execute(db))
        .await
        .map(drop)
}

/// Returns for how long a process other than this one may believe a copy under these keys; `None` if none does, or every
/// note of them is settled.
pub(super) async fn believed_for(
    db: &PgPool,
    process: &str,
    keys: &[String],
) -> sqlx::Result<Option<Duration>> {
    let query = sqlx::query_scalar!(
        "SELECT extract(epoch FROM max(believes_until) - clock_timestamp())::float8 AS seconds FROM cache_trust
         WHERE process <> $1 AND believes_until > clock_timestamp()
             AND EXISTS (SELECT FROM stale_copies WHERE key = ANY($2))",
        process,
        keys,
    );
    let seconds = named("cache_trust.believed_for", query.fetch_one(db)).await?;
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}
