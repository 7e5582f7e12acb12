//! The table of keys whose copies Redis was not told to forget.

use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Keys told in one go.
pub(super) const BATCH: i64 = 1_000;

/// A key with the time of its last change.
pub(super) struct StaleCopy {
    pub(super) key: String,
    pub(super) changed_at: OffsetDateTime,
}

pub(crate) async fn note(
    connection: &mut PgConnection,
    keys: &[String],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO stale_copies (key, changed_at) SELECT DISTINCT key, $2::timestamptz FROM unnest($1::text[]) AS key
         ON CONFLICT (key) DO UPDATE SET changed_at = GREATEST(stale_copies.changed_at, EXCLUDED.changed_at)",
        keys,
        at,
    );
    named("stale_copies.note", query.execute(connection)).await.map(drop)
}

pub(super) async fn list(db: &PgPool, skip: i64) -> sqlx::Result<Vec<StaleCopy>> {
    let query = sqlx::query_as!(
        StaleCopy,
        "SELECT key, changed_at FROM stale_copies ORDER BY key LIMIT $1 OFFSET $2",
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
    named("stale_copies.settle", query.execute(db)).await.map(drop)
}
