//! The table of changes of address that the old address can undo.

use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_platform::database::named;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::cleanup::expired_rows;

/// A change of address that was made at `changed_at`.
pub(super) struct NewUndo<'a> {
    pub(super) user: UserId,
    /// The address that the account left.
    pub(super) email: &'a Email,
    pub(super) changed_at: OffsetDateTime,
    pub(super) expires_at: OffsetDateTime,
    /// Set if the address cannot take the change back.
    pub(super) waived_at: Option<OffsetDateTime>,
}

/// Inserts the undo of a change, which replaces that of an earlier change from the same address.
pub(super) async fn insert(connection: &mut PgConnection, new: &NewUndo<'_>) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO email_undos (user_id, email_key, changed_at, expires_at, waived_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id, email_key) DO UPDATE
         SET changed_at = EXCLUDED.changed_at, expires_at = EXCLUDED.expires_at, waived_at = EXCLUDED.waived_at",
        new.user as _,
        new.email.key(),
        new.changed_at,
        new.expires_at,
        new.waived_at,
    );
    named("email_undos.insert", query.execute(connection))
        .await
        .map(drop)
}

/// Returns when the account left the address, if it can take it back. The earliest time if it left several spellings.
pub(super) async fn open_since(
    connection: &mut PgConnection,
    user: UserId,
    email: &Email,
    now: OffsetDateTime,
) -> sqlx::Result<Option<OffsetDateTime>> {
    let query = sqlx::query_scalar!(
        "SELECT min(changed_at) FROM email_undos
         WHERE user_id = $1 AND email_key = ANY($2) AND expires_at > $3 AND waived_at IS NULL",
        user as _,
        &email.keys(),
        now,
    );
    named("email_undos.open_since", query.fetch_one(connection)).await
}

/// Moves the end of an undo to a later time; opens one for a change that an earlier release has made. False if it was
/// waived.
pub(super) async fn prolong(
    connection: &mut PgConnection,
    user: UserId,
    email: &Email,
    (changed_at, expires_at): (OffsetDateTime, OffsetDateTime),
) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        r#"INSERT INTO email_undos (user_id, email_key, changed_at, expires_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT (user_id, email_key) DO UPDATE
           SET expires_at = GREATEST(email_undos.expires_at, EXCLUDED.expires_at)
           RETURNING waived_at IS NULL AS "is_open!""#,
        user as _,
        email.key(),
        changed_at,
        expires_at,
    );
    named("email_undos.prolong", query.fetch_one(connection)).await
}

/// Whether another account than `except` can take the address back.
pub(super) async fn is_reserved(
    connection: &mut PgConnection,
    email: &Email,
    except: Option<UserId>,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM email_undos WHERE email_key = ANY($1) AND user_id IS DISTINCT FROM $2
                            AND expires_at > $3 AND waived_at IS NULL) AS "is_reserved!""#,
        &email.keys(),
        except as _,
        now,
    );
    named("email_undos.is_reserved", query.fetch_one(connection)).await
}

/// Closes the one of this address, and those of changes from then on. The rows stay until they expire, so that a notice
/// which is mailed later finds them closed and opens none again.
pub(super) async fn close_since(
    connection: &mut PgConnection,
    user: UserId,
    email: &Email,
    since: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE email_undos SET waived_at = $4
         WHERE user_id = $1 AND (email_key = ANY($2) OR changed_at >= $3) AND waived_at IS NULL",
        user as _,
        &email.keys(),
        since,
        at,
    );
    named("email_undos.close_since", query.execute(connection))
        .await
        .map(drop)
}

/// Waives those that are open; when the earliest of their changes was.
pub(super) async fn waive(
    connection: &mut PgConnection,
    user: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<Option<OffsetDateTime>> {
    let query = sqlx::query_scalar!(
        "UPDATE email_undos SET waived_at = $2 WHERE user_id = $1 AND expires_at > $2 AND waived_at IS NULL
         RETURNING changed_at",
        user as _,
        at,
    );
    Ok(named("email_undos.waive", query.fetch_all(connection))
        .await?
        .into_iter()
        .min())
}

pub(super) async fn remove_all_of(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM email_undos WHERE user_id = $1", user as _);
    named("email_undos.remove_all_of", query.execute(connection))
        .await
        .map(drop)
}

expired_rows! {
    /// Undos whose time was over before this time, for the clean-up.
    expired: "email_undos", key "user_id, email_key", over at "expires_at"
}
