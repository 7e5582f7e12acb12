//! Removes what has expired, in batches that hold no lock for long.

use plinth_platform::database::named;
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::{Result, Stores};

/// Rows removed in one statement.
const BATCH: i64 = 1_000;

/// Ended sessions and keys are kept for so long: their owner may ask where he was logged in.
const KEPT: Duration = Duration::days(30);

/// How many rows were removed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    pub sessions: u64,
    pub one_time_tokens: u64,
    pub revoked_tokens: u64,
    pub api_keys: u64,
    pub signing_keys: u64,
    pub challenges: u64,
    pub unconfirmed_factors: u64,
}

/// Removes ended sessions and keys past their keeping, one-time tokens and taken-back tokens that have expired.
pub async fn remove_expired(stores: &Stores) -> Result<Removed> {
    let now = stores.clock.now();
    Ok(Removed {
        sessions: in_batches(|| sessions(stores, now - KEPT)).await?,
        one_time_tokens: in_batches(|| one_time_tokens(stores, now)).await?,
        revoked_tokens: in_batches(|| revoked_tokens(stores, now)).await?,
        api_keys: in_batches(|| crate::api_keys::remove_expired(stores, now - KEPT, BATCH)).await?,
        signing_keys: crate::access_tokens::remove_retired(stores, now - KEPT).await?,
        challenges: in_batches(|| crate::challenges::remove_expired(stores, now, BATCH)).await?,
        unconfirmed_factors: crate::second_factors::remove_waiting(stores, now).await?,
    })
}

async fn in_batches<F>(remove: impl Fn() -> F) -> Result<u64>
where
    F: Future<Output = sqlx::Result<u64>>,
{
    let mut total = 0;
    loop {
        let removed = remove().await?;
        total += removed;
        if removed < BATCH.unsigned_abs() {
            return Ok(total);
        }
    }
}

async fn sessions(stores: &Stores, before: OffsetDateTime) -> sqlx::Result<u64> {
    let query = sqlx::query!(
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE idle_expires_at < $1 ORDER BY idle_expires_at LIMIT $2)",
        before,
        BATCH,
    );
    Ok(named("sessions.remove_expired", query.execute(&stores.db)).await?.rows_affected())
}

async fn one_time_tokens(stores: &Stores, now: OffsetDateTime) -> sqlx::Result<u64> {
    let query = sqlx::query!(
        "DELETE FROM one_time_tokens WHERE token_hash IN
             (SELECT token_hash FROM one_time_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        now,
        BATCH,
    );
    Ok(named("one_time_tokens.remove_expired", query.execute(&stores.db)).await?.rows_affected())
}

async fn revoked_tokens(stores: &Stores, now: OffsetDateTime) -> sqlx::Result<u64> {
    let query = sqlx::query!(
        "DELETE FROM revoked_tokens WHERE id IN
             (SELECT id FROM revoked_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        now,
        BATCH,
    );
    Ok(named("revoked_tokens.remove_expired", query.execute(&stores.db)).await?.rows_affected())
}
