//! The table of signing keys.

use plinth_platform::database::{PgPool, named};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use crate::cleanup::expired_rows;

/// A key as its row has it; the private half is sealed.
pub(super) struct Row {
    pub(super) kid: String,
    pub(super) private_key: Vec<u8>,
    pub(super) activates_at: OffsetDateTime,
    pub(super) retires_at: Option<OffsetDateTime>,
}

pub(super) struct NewKey<'a> {
    pub(super) kid: &'a str,
    pub(super) public_key: &'a [u8; 32],
    pub(super) private_key: &'a [u8],
    pub(super) activates_at: OffsetDateTime,
}

/// Those that have not retired.
pub(super) async fn list(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<Vec<Row>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT kid, private_key, activates_at, retires_at FROM signing_keys
         WHERE retires_at IS NULL OR retires_at > $1 ORDER BY activates_at",
        now,
    );
    named("signing_keys.list", query.fetch_all(db)).await
}

/// Returns the name and the sealed private half of the key that was made last.
pub(super) async fn newest(
    connection: &mut PgConnection,
) -> sqlx::Result<Option<(String, Vec<u8>)>> {
    let query =
        sqlx::query!("SELECT kid, private_key FROM signing_keys ORDER BY created_at DESC LIMIT 1");
    let row = named("signing_keys.newest", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| (row.kid, row.private_key)))
}

/// Whoever makes or retires a key does so alone.
pub(super) async fn lock(connection: &mut PgConnection) -> sqlx::Result<()> {
    let query = sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('plinth signing keys'))");
    named("signing_keys.lock", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    key: &NewKey<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO signing_keys (kid, public_key, private_key, activates_at, created_at) VALUES ($1, $2, $3, $4, $5)",
        key.kid,
        key.public_key,
        key.private_key,
        key.activates_at,
        at,
    );
    named("signing_keys.insert", query.execute(connection))
        .await
        .map(drop)
}

/// Ends every other key that was to go on.
pub(super) async fn retire_others(
    connection: &mut PgConnection,
    kid: &str,
    retires_at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE signing_keys SET retires_at = $2 WHERE kid <> $1 AND (retires_at IS NULL OR retires_at > $2)",
        kid,
        retires_at,
    );
    named("signing_keys.retire_others", query.execute(connection))
        .await
        .map(drop)
}

/// The same private half, sealed otherwise; only if no other process was faster.
pub(super) async fn replace_private_key(
    db: &PgPool,
    key: &Row,
    private_key: &[u8],
) -> sqlx::Result<u64> {
    let query = sqlx::query!(
        "UPDATE signing_keys SET private_key = $3 WHERE kid = $1 AND private_key = $2",
        key.kid,
        key.private_key,
        private_key,
    );
    Ok(named("signing_keys.replace_private_key", query.execute(db))
        .await?
        .rows_affected())
}

/// Ends one key; false where there is none of that name, or it has ended.
pub(super) async fn retire(
    connection: &mut PgConnection,
    kid: &str,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE signing_keys SET retires_at = $2 WHERE kid = $1 AND (retires_at IS NULL OR retires_at > $2)",
        kid,
        at,
    );
    Ok(named("signing_keys.retire", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

expired_rows! {
    /// Keys that retired before this time, for the clean-up; there are a few a year.
    retired: "signing_keys", key "kid", over at "retires_at"
}
