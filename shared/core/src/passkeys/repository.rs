//! The table of passkeys, and what of an account decides whether one may go.

use plinth_domain::id::{PasskeyId, UserId};
use plinth_domain::notice::FactorKind;
use plinth_platform::database::named;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use webauthn_rs::prelude::Passkey;

use super::PasskeyView;
use crate::second_factors::RemainingFactor;

/// A passkey with its key.
pub(super) struct Held {
    pub(super) id: PasskeyId,
    pub(super) user: UserId,
    pub(super) passkey: Passkey,
    pub(super) added_at: OffsetDateTime,
    /// A reset of the password has suspended it: it proves nothing.
    pub(super) is_suspended: bool,
}

/// What the account would be left with.
pub(super) struct Owner {
    pub(super) has_password: bool,
    /// One of the roles asks for a second factor.
    pub(super) requires_factor: bool,
    pub(super) has_totp: bool,
    pub(super) passkeys: i64,
}

pub(super) async fn list(db: impl PgExecutor<'_>, user: UserId) -> sqlx::Result<Vec<PasskeyView>> {
    let query = sqlx::query_as!(
        PasskeyView,
        "SELECT id, name, created_at, last_used_at FROM passkeys WHERE user_id = $1 ORDER BY id",
        user as _,
    );
    named("passkeys.list", query.fetch_all(db)).await
}

/// The names by which authenticators know those of the user.
pub(super) async fn credential_ids(
    db: impl PgExecutor<'_>,
    user: UserId,
) -> sqlx::Result<Vec<Vec<u8>>> {
    let query = sqlx::query_scalar!(
        "SELECT credential_id FROM passkeys WHERE user_id = $1 ORDER BY id",
        user as _
    );
    named("passkeys.credential_ids", query.fetch_all(db)).await
}

/// The passkey, locked: of two proofs the second finds the counter of the first.
pub(super) async fn hold(
    connection: &mut PgConnection,
    credential_id: &[u8],
) -> sqlx::Result<Option<Held>> {
    let query = sqlx::query!(
        r#"SELECT id, user_id, credential AS "credential: Json<Passkey>", created_at,
                  suspended_at IS NOT NULL AS "is_suspended!"
           FROM passkeys
           WHERE credential_id = $1
           FOR UPDATE"#,
        credential_id,
    );
    let row = named("passkeys.hold", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| Held {
        id: row.id,
        user: row.user_id,
        passkey: row.credential.0,
        added_at: row.created_at,
        is_suspended: row.is_suspended,
    }))
}

/// The same of those that can prove something; of those added before `before`, where it is given.
pub(super) async fn usable(
    db: impl PgExecutor<'_>,
    user: UserId,
    before: Option<OffsetDateTime>,
) -> sqlx::Result<Vec<Vec<u8>>> {
    let query = sqlx::query_scalar!(
        "SELECT credential_id FROM passkeys
         WHERE user_id = $1 AND suspended_at IS NULL AND ($2::timestamptz IS NULL OR created_at < $2)
         ORDER BY id",
        user as _,
        before,
    );
    named("passkeys.usable", query.fetch_all(db)).await
}

/// False when there is one of this name on some authenticator already, whoever has it.
pub(super) async fn insert(
    connection: &mut PgConnection,
    user: UserId,
    view: &PasskeyView,
    passkey: &Passkey,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO passkeys (id, user_id, name, credential_id, credential, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (credential_id) DO NOTHING",
        view.id as _,
        user as _,
        view.name,
        passkey.cred_id().as_slice(),
        Json(passkey) as _,
        view.created_at,
    );
    Ok(named("passkeys.insert", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Keeps the counter and the flags of a proof.
pub(super) async fn note_use(
    connection: &mut PgConnection,
    id: PasskeyId,
    passkey: &Passkey,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE passkeys SET credential = $2, last_used_at = $3 WHERE id = $1",
        id as _,
        Json(passkey) as _,
        at,
    );
    named("passkeys.note_use", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn rename(
    connection: &mut PgConnection,
    user: UserId,
    id: PasskeyId,
    name: &str,
) -> sqlx::Result<Option<PasskeyView>> {
    let query = sqlx::query_as!(
        PasskeyView,
        "UPDATE passkeys SET name = $3 WHERE user_id = $1 AND id = $2
         RETURNING id, name, created_at, last_used_at",
        user as _,
        id as _,
        name,
    );
    named("passkeys.rename", query.fetch_optional(connection)).await
}

/// False when the user has no such passkey.
pub(super) async fn remove(
    connection: &mut PgConnection,
    user: UserId,
    id: PasskeyId,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "DELETE FROM passkeys WHERE user_id = $1 AND id = $2",
        user as _,
        id as _
    );
    Ok(named("passkeys.remove", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

pub(super) async fn owner(connection: &mut PgConnection, user: UserId) -> sqlx::Result<Owner> {
    let query = sqlx::query_as!(
        Owner,
        r#"SELECT password_hash IS NOT NULL AS "has_password!",
                  EXISTS (SELECT FROM user_roles JOIN roles ON name = role
                          WHERE user_id = users.id AND requires_mfa) AS "requires_factor!",
                  EXISTS (SELECT FROM totp_factors WHERE user_id = users.id AND confirmed_at IS NOT NULL)
                      AS "has_totp!",
                  (SELECT count(*) FROM passkeys WHERE user_id = users.id) AS "passkeys!"
           FROM users WHERE id = $1"#,
        user as _,
    );
    named("passkeys.owner", query.fetch_one(connection)).await
}

/// Which there were of those that were added from then on.
pub(super) async fn remove_added_since(
    connection: &mut PgConnection,
    user: UserId,
    since: OffsetDateTime,
) -> sqlx::Result<Vec<PasskeyId>> {
    let query = sqlx::query_scalar!(
        "DELETE FROM passkeys WHERE user_id = $1 AND created_at >= $2 RETURNING id",
        user as _,
        since,
    );
    named("passkeys.remove_added_since", query.fetch_all(connection)).await
}

/// Suspends those that were added from then on.
pub(super) async fn suspend_added_since(
    connection: &mut PgConnection,
    user: UserId,
    since: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE passkeys SET suspended_at = $3 WHERE user_id = $1 AND created_at >= $2 AND suspended_at IS NULL",
        user as _,
        since,
        at,
    );
    named("passkeys.suspend", query.execute(connection))
        .await
        .map(drop)
}

/// Removes those that were suspended; which there were.
pub(super) async fn remove_suspended(
    connection: &mut PgConnection,
    user: UserId,
) -> sqlx::Result<Vec<PasskeyId>> {
    let query = sqlx::query_scalar!(
        "DELETE FROM passkeys WHERE user_id = $1 AND suspended_at IS NOT NULL RETURNING id",
        user as _,
    );
    named("passkeys.remove_suspended", query.fetch_all(connection)).await
}

/// Those of the user with their names, when they were added, and whether they are suspended.
pub(super) async fn remaining(
    connection: &mut PgConnection,
    user: UserId,
) -> sqlx::Result<Vec<RemainingFactor>> {
    let query = sqlx::query!(
        r#"SELECT name, created_at, suspended_at IS NOT NULL AS "is_suspended!"
           FROM passkeys WHERE user_id = $1 ORDER BY id"#,
        user as _,
    );
    let rows = named("passkeys.remaining", query.fetch_all(connection)).await?;
    let factor = rows.into_iter().map(|row| RemainingFactor {
        kind: FactorKind::Passkey,
        name: Some(row.name),
        added_at: row.created_at,
        is_suspended: row.is_suspended,
    });
    Ok(factor.collect())
}

pub(super) async fn remove_all_of(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM passkeys WHERE user_id = $1", user as _);
    named("passkeys.remove_all_of", query.execute(connection))
        .await
        .map(drop)
}
