//! The tables of authenticator apps and recovery codes.

use plinth_domain::id::{TotpFactorId, UserId};
use plinth_domain::notice::FactorKind;
use plinth_platform::database::{PgPool, named};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{RemainingFactor, TotpFactor};
use crate::cleanup::expired_rows;

/// An authenticator app with its sealed secret.
pub(super) struct SealedFactor {
    pub(super) id: TotpFactorId,
    pub(super) secret: Vec<u8>,
}

pub(super) struct NewFactor<'a> {
    pub(super) id: TotpFactorId,
    pub(super) user: UserId,
    pub(super) name: &'a str,
    pub(super) secret: &'a [u8],
}

pub(super) async fn list(db: &PgPool, user: UserId) -> sqlx::Result<Vec<TotpFactor>> {
    let query = sqlx::query!(
        r#"SELECT id, name, confirmed_at AS "confirmed_at!", last_used_at, created_at FROM totp_factors
           WHERE user_id = $1 AND confirmed_at IS NOT NULL ORDER BY id"#,
        user as _,
    );
    let rows = named("totp_factors.list", query.fetch_all(db)).await?;
    let factor = rows.into_iter().map(|row| TotpFactor {
        id: row.id,
        name: row.name,
        confirmed_at: row.confirmed_at,
        last_used_at: row.last_used_at,
        created_at: row.created_at,
    });
    Ok(factor.collect())
}

/// Apps that are read at once, to be sealed anew.
const PAGE: i64 = 500;

/// A page of everybody's apps, with whose each is, in the order of their ids.
pub(super) async fn page(db: &PgPool, after: Uuid) -> sqlx::Result<Vec<(UserId, SealedFactor)>> {
    let query = sqlx::query!(
        "SELECT id, user_id, secret FROM totp_factors WHERE id > $1 ORDER BY id LIMIT $2",
        after,
        PAGE,
    );
    let rows = named("totp_factors.page", query.fetch_all(db)).await?;
    let factor = |id, secret| SealedFactor { id, secret };
    Ok(rows
        .into_iter()
        .map(|row| (row.user_id, factor(row.id, row.secret)))
        .collect())
}

/// The same secret, sealed otherwise; only where nobody was faster.
pub(super) async fn replace_secret(
    db: &PgPool,
    factor: &SealedFactor,
    secret: &[u8],
) -> sqlx::Result<u64> {
    let query = sqlx::query!(
        "UPDATE totp_factors SET secret = $3 WHERE id = $1 AND secret = $2",
        factor.id as _,
        factor.secret,
        secret,
    );
    Ok(named("totp_factors.replace_secret", query.execute(db))
        .await?
        .rows_affected())
}

/// Adds one that waits for its first code; those that waited before go.
pub(super) async fn insert(
    connection: &mut PgConnection,
    factor: &NewFactor<'_>,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let waiting = sqlx::query!(
        "DELETE FROM totp_factors WHERE user_id = $1 AND confirmed_at IS NULL",
        factor.user as _
    );
    named(
        "totp_factors.remove_waiting",
        waiting.execute(&mut *connection),
    )
    .await?;
    let query = sqlx::query!(
        "INSERT INTO totp_factors (id, user_id, name, secret, created_at) VALUES ($1, $2, $3, $4, $5)",
        factor.id as _,
        factor.user as _,
        factor.name,
        factor.secret,
        at,
    );
    named("totp_factors.insert", query.execute(connection))
        .await
        .map(drop)
}

/// The one that waits, locked.
pub(super) async fn hold_waiting(
    connection: &mut PgConnection,
    user: UserId,
    id: TotpFactorId,
) -> sqlx::Result<Option<SealedFactor>> {
    let query = sqlx::query!(
        "SELECT id, secret FROM totp_factors WHERE id = $1 AND user_id = $2 AND confirmed_at IS NULL FOR UPDATE",
        id as _,
        user as _,
    );
    let row = named(
        "totp_factors.hold_waiting",
        query.fetch_optional(connection),
    )
    .await?;
    Ok(row.map(|row| SealedFactor {
        id: row.id,
        secret: row.secret,
    }))
}

pub(super) async fn confirm(
    connection: &mut PgConnection,
    id: TotpFactorId,
    step: i64,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE totp_factors SET confirmed_at = $2, last_step = $3, last_used_at = $2 WHERE id = $1",
        id as _,
        at,
        step,
    );
    named("totp_factors.confirm", query.execute(connection))
        .await
        .map(drop)
}

/// Those that can prove something; of those added before `before`, where it is given.
pub(super) async fn confirmed(
    connection: &mut PgConnection,
    user: UserId,
    before: Option<OffsetDateTime>,
) -> sqlx::Result<Vec<SealedFactor>> {
    let query = sqlx::query!(
        "SELECT id, secret FROM totp_factors
         WHERE user_id = $1 AND confirmed_at IS NOT NULL AND suspended_at IS NULL
           AND ($2::timestamptz IS NULL OR confirmed_at < $2)
         ORDER BY id",
        user as _,
        before,
    );
    let rows = named("totp_factors.confirmed", query.fetch_all(connection)).await?;
    Ok(rows
        .into_iter()
        .map(|row| SealedFactor {
            id: row.id,
            secret: row.secret,
        })
        .collect())
}

/// Uses up the code of a time step; false when it, or a later one, was used before.
pub(super) async fn use_step(
    connection: &mut PgConnection,
    id: TotpFactorId,
    step: i64,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE totp_factors SET last_step = $2, last_used_at = $3 WHERE id = $1 AND last_step < $2",
        id as _,
        step,
        at,
    );
    Ok(named("totp_factors.use_step", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

pub(super) async fn remove(
    connection: &mut PgConnection,
    user: UserId,
    id: TotpFactorId,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "DELETE FROM totp_factors WHERE id = $1 AND user_id = $2 AND confirmed_at IS NOT NULL",
        id as _,
        user as _,
    );
    Ok(named("totp_factors.remove", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Which there were of those that were added from then on.
pub(super) async fn remove_added_since(
    connection: &mut PgConnection,
    user: UserId,
    since: OffsetDateTime,
) -> sqlx::Result<Vec<TotpFactorId>> {
    let query = sqlx::query_scalar!(
        "DELETE FROM totp_factors WHERE user_id = $1 AND confirmed_at >= $2 RETURNING id",
        user as _,
        since,
    );
    named(
        "totp_factors.remove_added_since",
        query.fetch_all(connection),
    )
    .await
}

pub(super) async fn remove_all_of(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM totp_factors WHERE user_id = $1", user as _);
    named("totp_factors.remove_all_of", query.execute(connection))
        .await
        .map(drop)
}

expired_rows! {
    /// Apps that were added before this time and never confirmed, for the clean-up.
    waiting_since: "totp_factors", key "id", over at "created_at", only if "confirmed_at IS NULL"
}

/// How many second factors the user has, whichever: apps and passkeys.
pub(super) async fn count_factors(
    connection: &mut PgConnection,
    user: UserId,
) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT (SELECT count(*) FROM totp_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL)
                  + (SELECT count(*) FROM passkeys WHERE user_id = $1) AS "count!""#,
        user as _,
    );
    named("second_factors.count", query.fetch_one(connection)).await
}

/// Puts these in the place of all that the user had.
pub(super) async fn replace_codes(
    connection: &mut PgConnection,
    user: UserId,
    hashes: &[Vec<u8>],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    remove_codes(connection, user).await?;
    let query = sqlx::query!(
        "INSERT INTO recovery_codes (code_hash, user_id, created_at) SELECT unnest($1::bytea[]), $2, $3",
        hashes,
        user as _,
        at,
    );
    named("recovery_codes.insert", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn remove_codes(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1", user as _);
    named("recovery_codes.remove", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn remove_codes_issued_since(
    connection: &mut PgConnection,
    user: UserId,
    since: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "DELETE FROM recovery_codes WHERE user_id = $1 AND created_at >= $2",
        user as _,
        since
    );
    named(
        "recovery_codes.remove_issued_since",
        query.execute(connection),
    )
    .await
    .map(drop)
}

/// Uses a code up that was issued before `before`, where it is given; false where there is none such.
pub(super) async fn use_code(
    connection: &mut PgConnection,
    user: UserId,
    hash: &[u8; 32],
    before: Option<OffsetDateTime>,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "DELETE FROM recovery_codes
         WHERE code_hash = $1 AND user_id = $2 AND suspended_at IS NULL
           AND ($3::timestamptz IS NULL OR created_at < $3)",
        hash,
        user as _,
        before,
    );
    Ok(named("recovery_codes.use", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Those that can be used; of those issued before `before`, where it is given.
pub(super) async fn count_codes(
    db: impl PgExecutor<'_>,
    user: UserId,
    before: Option<OffsetDateTime>,
) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM recovery_codes
           WHERE user_id = $1 AND suspended_at IS NULL AND ($2::timestamptz IS NULL OR created_at < $2)"#,
        user as _,
        before,
    );
    named("recovery_codes.count", query.fetch_one(db)).await
}

/// Suspends the apps that were added, and the codes that were issued, from then on.
pub(super) async fn suspend_added_since(
    connection: &mut PgConnection,
    user: UserId,
    since: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let apps = sqlx::query!(
        "UPDATE totp_factors SET suspended_at = $3
         WHERE user_id = $1 AND confirmed_at >= $2 AND suspended_at IS NULL",
        user as _,
        since,
        at,
    );
    named("totp_factors.suspend", apps.execute(&mut *connection)).await?;
    let codes = sqlx::query!(
        "UPDATE recovery_codes SET suspended_at = $3
         WHERE user_id = $1 AND created_at >= $2 AND suspended_at IS NULL",
        user as _,
        since,
        at,
    );
    named("recovery_codes.suspend", codes.execute(connection))
        .await
        .map(drop)
}

/// Removes what was suspended; which apps there were.
pub(super) async fn remove_suspended(
    connection: &mut PgConnection,
    user: UserId,
) -> sqlx::Result<Vec<TotpFactorId>> {
    let codes = sqlx::query!(
        "DELETE FROM recovery_codes WHERE user_id = $1 AND suspended_at IS NOT NULL",
        user as _,
    );
    named(
        "recovery_codes.remove_suspended",
        codes.execute(&mut *connection),
    )
    .await?;
    let apps = sqlx::query_scalar!(
        "DELETE FROM totp_factors WHERE user_id = $1 AND suspended_at IS NOT NULL RETURNING id",
        user as _,
    );
    named("totp_factors.remove_suspended", apps.fetch_all(connection)).await
}

/// The apps of the user, and the recovery codes as one, with their names, when they were added, and whether they are
/// suspended.
pub(super) async fn remaining(
    connection: &mut PgConnection,
    user: UserId,
) -> sqlx::Result<Vec<RemainingFactor>> {
    let query = sqlx::query!(
        r#"SELECT name AS "name?", confirmed_at AS "added_at!",
                  suspended_at IS NOT NULL AS "is_suspended!", true AS "is_app!"
           FROM totp_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL
           UNION ALL
           SELECT NULL::text, min(created_at), suspended_at IS NOT NULL, false
           FROM recovery_codes WHERE user_id = $1 GROUP BY suspended_at IS NOT NULL
           ORDER BY 4 DESC, 2"#,
        user as _,
    );
    let rows = named("second_factors.remaining", query.fetch_all(connection)).await?;
    let factor = rows.into_iter().map(|row| RemainingFactor {
        kind: if row.is_app {
            FactorKind::Totp
        } else {
            FactorKind::RecoveryCodes
        },
        name: row.name,
        added_at: row.added_at,
        is_suspended: row.is_suspended,
    });
    Ok(factor.collect())
}
