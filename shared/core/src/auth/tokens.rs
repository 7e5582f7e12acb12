//! The tables of one-time tokens and of access tokens that were taken back.

use plinth_domain::email::Email;
use plinth_domain::id::{TokenId, UserId};
use plinth_domain::purpose::TokenPurpose;
use plinth_platform::database::named;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

/// A token that is about to be mailed.
pub(super) struct NewToken<'a> {
    pub(super) hash: [u8; 32],
    pub(super) user: UserId,
    pub(super) purpose: TokenPurpose,
    /// The address that it is about, where that is not the account's present one; of a link to choose another password
    /// the unique form of the address that it is mailed to.
    pub(super) email: Option<&'a str>,
    pub(super) expires_at: OffsetDateTime,
    /// When it was asked for: a repetition of the same job mints one of the same moment.
    pub(super) created_at: OffsetDateTime,
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    token: &NewToken<'_>,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO one_time_tokens (token_hash, user_id, purpose, email, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &token.hash,
        token.user as _,
        token.purpose as _,
        token.email,
        token.expires_at,
        token.created_at,
    );
    named("one_time_tokens.insert", query.execute(connection))
        .await
        .map(drop)
}

/// Whose token it is and when it was asked for, if it is valid for this purpose.
pub(super) async fn find(
    db: impl PgExecutor<'_>,
    hash: &[u8; 32],
    purpose: TokenPurpose,
    now: OffsetDateTime,
) -> sqlx::Result<Option<(UserId, OffsetDateTime)>> {
    let query = sqlx::query!(
        "SELECT user_id, created_at FROM one_time_tokens
         WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3",
        hash,
        purpose as _,
        now,
    );
    let row = named("one_time_tokens.find", query.fetch_optional(db)).await?;
    Ok(row.map(|row| (row.user_id, row.created_at)))
}

/// A token that was used up.
pub(super) struct Redeemed {
    /// The address that it was about, where that is not the account's own.
    pub(super) email: Option<String>,
    /// When it was asked for.
    pub(super) created_at: OffsetDateTime,
}

/// Uses a token up, if it is valid, and with it every other of the same purpose. One that takes an address back
/// leaves those alone that take an older one back: the older address has the better right.
pub(super) async fn redeem(
    connection: &mut PgConnection,
    hash: &[u8; 32],
    purpose: TokenPurpose,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Redeemed>> {
    let query = sqlx::query!(
        "DELETE FROM one_time_tokens WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3
         RETURNING user_id, email, created_at",
        hash,
        purpose as _,
        now,
    );
    let Some(used) = named(
        "one_time_tokens.redeem",
        query.fetch_optional(&mut *connection),
    )
    .await?
    else {
        return Ok(None);
    };
    let rest = sqlx::query!(
        "DELETE FROM one_time_tokens WHERE user_id = $1 AND purpose = $2 AND ($2 <> $3 OR created_at >= $4)",
        used.user_id as _,
        purpose as _,
        TokenPurpose::UndoEmailChange as _,
        used.created_at,
    );
    named("one_time_tokens.void_rest", rest.execute(connection)).await?;
    Ok(Some(Redeemed {
        email: used.email,
        created_at: used.created_at,
    }))
}

/// Which links to choose another password stay when the user's other tokens are voided.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeptResets<'a> {
    None,
    /// Those that were mailed to this address.
    To(&'a Email),
    /// All: each works only while the account has the address that it was mailed to.
    All,
}

/// Voids the user's tokens but those that take an address back.
pub(super) async fn void(
    connection: &mut PgConnection,
    user: UserId,
    kept: KeptResets<'_>,
) -> sqlx::Result<()> {
    let (all, key) = match kept {
        KeptResets::None => (false, None),
        KeptResets::To(email) => (false, Some(email.key())),
        KeptResets::All => (true, None),
    };
    // One that an earlier release has mailed does not name its address.
    let query = sqlx::query!(
        "DELETE FROM one_time_tokens
         WHERE user_id = $1 AND purpose <> $2
           AND NOT (purpose = $3 AND email IS NOT NULL AND ($4 OR email = COALESCE($5, '')))",
        user as _,
        TokenPurpose::UndoEmailChange as _,
        TokenPurpose::ResetPassword as _,
        all,
        key,
    );
    named("one_time_tokens.void", query.execute(connection))
        .await
        .map(drop)
}

/// Voids the links that take an address of the user back.
pub(super) async fn void_undos(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "DELETE FROM one_time_tokens WHERE user_id = $1 AND purpose = $2",
        user as _,
        TokenPurpose::UndoEmailChange as _,
    );
    named("one_time_tokens.void_undos", query.execute(connection))
        .await
        .map(drop)
}

/// Voids the links that undo changes of the user's address from then on. Those of a change are of the millisecond in which
/// its mail was asked for.
pub(super) async fn void_undos_since(
    connection: &mut PgConnection,
    user: UserId,
    since: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "DELETE FROM one_time_tokens
         WHERE user_id = $1 AND purpose = $2 AND created_at >= date_trunc('milliseconds', $3::timestamptz)",
        user as _,
        TokenPurpose::UndoEmailChange as _,
        since,
    );
    named(
        "one_time_tokens.void_undos_since",
        query.execute(connection),
    )
    .await
    .map(drop)
}

/// Removes every token of the user.
pub(super) async fn remove_all_of(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM one_time_tokens WHERE user_id = $1", user as _);
    named("one_time_tokens.remove_all_of", query.execute(connection))
        .await
        .map(drop)
}

/// How many valid tokens of this purpose the user was mailed since then, for one address where one is given, by
/// other jobs than the one that was asked for at `except`.
pub(super) async fn count_since(
    connection: &mut PgConnection,
    (user, purpose): (UserId, TokenPurpose),
    email: Option<&str>,
    (since, except): (OffsetDateTime, Option<OffsetDateTime>),
    now: OffsetDateTime,
) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(DISTINCT created_at) AS "count!" FROM one_time_tokens
           WHERE user_id = $1 AND purpose = $2 AND ($3::text IS NULL OR email = $3)
             AND created_at > $4 AND created_at IS DISTINCT FROM $5 AND expires_at > $6"#,
        user as _,
        purpose as _,
        email,
        since,
        except,
        now,
    );
    named("one_time_tokens.count_since", query.fetch_one(connection)).await
}

pub(super) async fn take_back(
    connection: &mut PgConnection,
    id: TokenId,
    expires_at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO revoked_tokens (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        id as _,
        expires_at
    );
    named("revoked_tokens.insert", query.execute(connection))
        .await
        .map(drop)
}
