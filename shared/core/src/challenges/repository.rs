//! The table of challenges.

use plinth_domain::authentication::Methods;
use plinth_domain::id::{SessionId, UserId};
use plinth_domain::purpose::ChallengePurpose;
use plinth_platform::database::{PgPool, named};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Challenge, NewChallenge};
use crate::cleanup::expired_rows;

struct Row {
    user_id: Option<UserId>,
    session_id: Option<SessionId>,
    amr: Methods,
    state: Option<Value>,
    failures: i16,
}

impl From<Row> for Challenge {
    fn from(row: Row) -> Self {
        Self {
            user: row.user_id,
            session: row.session_id,
            methods: row.amr,
            state: row.state.unwrap_or_default(),
            failures: row.failures,
        }
    }
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    challenge: &NewChallenge,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO challenges (token_hash, purpose, user_id, session_id, amr, state, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        hash,
        challenge.purpose as _,
        challenge.user as _,
        challenge.session as _,
        challenge.methods as _,
        challenge.state,
        at + challenge.lifetime,
        at,
    );
    named("challenges.insert", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn take(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    purpose: ChallengePurpose,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Challenge>> {
    let query = sqlx::query_as!(
        Row,
        "DELETE FROM challenges WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3
         RETURNING user_id, session_id, amr, state, failures",
        hash,
        purpose as _,
        now,
    );
    Ok(named("challenges.take", query.fetch_optional(connection))
        .await?
        .map(Challenge::from))
}

pub(super) async fn hold(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    purpose: ChallengePurpose,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Challenge>> {
    let query = sqlx::query_as!(
        Row,
        "SELECT user_id, session_id, amr, state, failures FROM challenges
         WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3
         FOR UPDATE",
        hash,
        purpose as _,
        now,
    );
    Ok(named("challenges.hold", query.fetch_optional(connection))
        .await?
        .map(Challenge::from))
}

pub(super) async fn owner(
    db: &PgPool,
    hash: &[u8; 32],
    purpose: ChallengePurpose,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!(
        "SELECT user_id FROM challenges WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3",
        hash,
        purpose as _,
        now,
    );
    Ok(named("challenges.owner", query.fetch_optional(db))
        .await?
        .flatten())
}

pub(super) async fn fail(connection: &mut PgConnection, hash: &[u8; 32]) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE challenges SET failures = failures + 1 WHERE token_hash = $1",
        hash
    );
    named("challenges.fail", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn remove_all_of(
    connection: &mut PgConnection,
    user: UserId,
    kept: Option<ChallengePurpose>,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "DELETE FROM challenges WHERE user_id = $1 AND purpose IS DISTINCT FROM $2",
        user as _,
        kept as _,
    );
    named("challenges.remove_all_of", query.execute(connection))
        .await
        .map(drop)
}

expired_rows! {
    /// Challenges that expired before this time, for the clean-up.
    expired: "challenges", key "token_hash", over at "expires_at"
}
