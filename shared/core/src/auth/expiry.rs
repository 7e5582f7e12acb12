//! Sessions and tokens that are over, for the clean-up.

use plinth_platform::database::named;
use time::OffsetDateTime;

use crate::cleanup::{BATCH, Batch, Pass};
use crate::{Result, Stores};

/// Sessions that ended before this time.
pub(crate) async fn ended_sessions(stores: &Stores, before: OffsetDateTime, pass: Pass) -> Result<Batch> {
    let Pass::Remove(slice) = pass else {
        let query = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM sessions WHERE idle_expires_at < $1"#,
            before
        );
        return Ok(Batch::whole(named("sessions.count_expired", query.fetch_one(&stores.db)).await?));
    };
    let query = sqlx::query!(
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE idle_expires_at < $1 ORDER BY idle_expires_at, id LIMIT $2 OFFSET $3
              FOR UPDATE SKIP LOCKED)",
        before,
        slice.limit(BATCH),
        slice.skip(),
    );
    let removed = named("sessions.remove_expired", query.execute(&stores.db)).await?.rows_affected();
    Ok(Batch::of(removed, slice.limit(BATCH)))
}

/// Mailed tokens that expired before this time.
pub(crate) async fn expired_one_time_tokens(
    stores: &Stores,
    before: OffsetDateTime,
    pass: Pass,
) -> Result<Batch> {
    let Pass::Remove(slice) = pass else {
        let query = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM one_time_tokens WHERE expires_at < $1"#,
            before
        );
        return Ok(Batch::whole(named("one_time_tokens.count_expired", query.fetch_one(&stores.db)).await?));
    };
    let query = sqlx::query!(
        "DELETE FROM one_time_tokens WHERE token_hash IN
             (SELECT token_hash FROM one_time_tokens WHERE expires_at < $1 ORDER BY expires_at, token_hash LIMIT $2 OFFSET $3
              FOR UPDATE SKIP LOCKED)",
        before,
        slice.limit(BATCH),
        slice.skip(),
    );
    let removed = named("one_time_tokens.remove_expired", query.execute(&stores.db)).await?.rows_affected();
    Ok(Batch::of(removed, slice.limit(BATCH)))
}

/// Access tokens that were taken back and expired before this time.
pub(crate) async fn expired_revocations(
    stores: &Stores,
    before: OffsetDateTime,
    pass: Pass,
) -> Result<Batch> {
    let Pass::Remove(slice) = pass else {
        let query = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM revoked_tokens WHERE expires_at < $1"#,
            before
        );
        return Ok(Batch::whole(named("revoked_tokens.count_expired", query.fetch_one(&stores.db)).await?));
    };
    let query = sqlx::query!(
        "DELETE FROM revoked_tokens WHERE id IN
             (SELECT id FROM revoked_tokens WHERE expires_at < $1 ORDER BY expires_at, id LIMIT $2 OFFSET $3
              FOR UPDATE SKIP LOCKED)",
        before,
        slice.limit(BATCH),
        slice.skip(),
    );
    let removed = named("revoked_tokens.remove_expired", query.execute(&stores.db)).await?.rows_affected();
    Ok(Batch::of(removed, slice.limit(BATCH)))
}
