//! The tables of accounts and roles.

use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::permission::Permission;
use plinth_domain::role::{self, RoleName};
use plinth_domain::text::DisplayName;
use plinth_domain::user::{User, UserStatus};
use plinth_platform::database::named;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Credentials, Filter, NewAccount};
use crate::cleanup::expired_rows;
use crate::page::PageRequest;

pub(super) async fn find(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<Option<User>> {
    let query = sqlx::query_as!(
        User,
        r#"SELECT id, email, display_name, email_verified_at, status, created_at, deletion_due_at,
                  ARRAY(SELECT role FROM user_roles WHERE user_id = users.id ORDER BY role) AS "roles!",
                  EXISTS (SELECT FROM totp_factors WHERE user_id = users.id AND confirmed_at IS NOT NULL)
                      OR EXISTS (SELECT FROM passkeys WHERE user_id = users.id) AS "has_second_factor!"
           FROM users WHERE id = $1"#,
        id as _,
    );
    named("users.find", query.fetch_optional(db)).await
}

/// Locks the rows, in an order that all agree on; what refers to them can still be written.
pub(super) async fn lock(connection: &mut PgConnection, ids: &[UserId]) -> sqlx::Result<()> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM users WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        ids as _,
    );
    named("users.lock", query.fetch_all(connection))
        .await
        .map(drop)
}

/// Accounts that were not deleted, the newest first.
pub(super) async fn list(
    db: impl PgExecutor<'_>,
    filter: &Filter,
    page: PageRequest,
) -> sqlx::Result<Vec<User>> {
    let query = sqlx::query_as!(
        User,
        r#"SELECT id, email, display_name, email_verified_at, status, created_at, deletion_due_at,
                  ARRAY(SELECT role FROM user_roles WHERE user_id = users.id ORDER BY role) AS "roles!",
                  EXISTS (SELECT FROM totp_factors WHERE user_id = users.id AND confirmed_at IS NOT NULL)
                      OR EXISTS (SELECT FROM passkeys WHERE user_id = users.id) AS "has_second_factor!"
           FROM users
           WHERE id < $1 AND status <> 'deleted'
             AND ($2::text[] IS NULL OR email_key = ANY($2))
             AND ($3::text IS NULL OR status = $3)
             AND ($4::text IS NULL OR EXISTS (SELECT FROM user_roles WHERE user_id = users.id AND role = $4))
           ORDER BY id DESC
           LIMIT $5"#,
        page.before(),
        filter.email.as_ref().map(Email::keys) as _,
        filter.status as _,
        filter.role.as_ref().map(RoleName::as_str),
        page.fetch(),
    );
    named("users.list", query.fetch_all(db)).await
}

pub(super) async fn credentials(
    db: impl PgExecutor<'_>,
    email: &Email,
) -> sqlx::Result<Option<Credentials>> {
    let query = sqlx::query_as!(
        Credentials,
        r#"SELECT id, password_hash, password_changed_at, email_verified_at IS NOT NULL AS "email_verified!", status,
                  recovery_from IS NOT NULL AS "recovery_is_pending!",
                  imported_at IS NOT NULL AND password_changed_at IS NULL AS "password_imported!",
                  EXISTS (SELECT FROM totp_factors WHERE user_id = users.id AND confirmed_at IS NOT NULL)
                      OR EXISTS (SELECT FROM passkeys WHERE user_id = users.id) AS "has_second_factor!"
           FROM users WHERE email_key = ANY($1)
           ORDER BY email_verified_at NULLS LAST LIMIT 1"#,
        &email.keys(),
    );
    named("users.credentials", query.fetch_optional(db)).await
}

pub(super) async fn credentials_of(
    db: impl PgExecutor<'_>,
    id: UserId,
) -> sqlx::Result<Option<Credentials>> {
    let query = sqlx::query_as!(
        Credentials,
        r#"SELECT id, password_hash, password_changed_at, email_verified_at IS NOT NULL AS "email_verified!", status,
                  recovery_from IS NOT NULL AS "recovery_is_pending!",
                  imported_at IS NOT NULL AND password_changed_at IS NULL AS "password_imported!",
                  EXISTS (SELECT FROM totp_factors WHERE user_id = users.id AND confirmed_at IS NOT NULL)
                      OR EXISTS (SELECT FROM passkeys WHERE user_id = users.id) AS "has_second_factor!"
           FROM users WHERE id = $1"#,
        id as _,
    );
    named("users.credentials_of", query.fetch_optional(db)).await
}

pub(super) async fn has_changed_since(
    connection: &mut PgConnection,
    id: UserId,
    since: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        r#"SELECT GREATEST(password_changed_at, email_verified_at) > $2 AS "changed" FROM users WHERE id = $1"#,
        id as _,
        since,
    );
    Ok(
        named("users.has_changed_since", query.fetch_optional(connection))
            .await?
            .flatten()
            .unwrap_or(false),
    )
}

pub(super) async fn password_hash_unlike(
    db: impl PgExecutor<'_>,
    beginnings: &[String],
) -> sqlx::Result<Option<String>> {
    let query = sqlx::query_scalar!(
        r#"SELECT password_hash AS "hash!" FROM users
           WHERE password_hash IS NOT NULL AND NOT (password_hash ^@ ANY($1)) LIMIT 1"#,
        beginnings,
    );
    named("users.password_hash_unlike", query.fetch_optional(db)).await
}

/// Inserts the account; returns false if its address is taken, or reserved at `at`. One statement checks both: a change that
/// leaves an address reserves it in the same transaction, so that there is no moment between.
pub(super) async fn insert(
    connection: &mut PgConnection,
    account: &NewAccount,
    (email_verified_at, created_at): (Option<OffsetDateTime>, OffsetDateTime),
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO users (id, email, email_key, display_name, password_hash, email_verified_at, created_at, updated_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $7
         WHERE NOT EXISTS (SELECT FROM users WHERE email_key = ANY($8))
           AND NOT EXISTS (SELECT FROM email_undos
                           WHERE email_key = ANY($8) AND expires_at > $9 AND waived_at IS NULL)
         ON CONFLICT (email_key) DO NOTHING",
        account.id as _,
        account.email.as_str(),
        account.email.key(),
        account.display_name.as_ref().map(DisplayName::as_str),
        account.password_hash,
        email_verified_at,
        created_at,
        &account.email.keys(),
        at,
    );
    Ok(named("users.insert", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Records that an operator imported the account.
pub(super) async fn mark_imported(
    connection: &mut PgConnection,
    id: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users SET imported_at = $2 WHERE id = $1",
        id as _,
        at
    );
    named("users.mark_imported", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn is_imported(connection: &mut PgConnection, id: UserId) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        r#"SELECT imported_at IS NOT NULL AS "is_imported!" FROM users WHERE id = $1"#,
        id as _,
    );
    named("users.is_imported", query.fetch_one(connection)).await
}

pub(super) async fn add_role(
    connection: &mut PgConnection,
    id: UserId,
    role: &str,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO user_roles (user_id, role) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        id as _,
        role
    );
    named("users.add_role", query.execute(connection))
        .await
        .map(drop)
}

/// From now on the account has these roles and no others.
pub(super) async fn set_roles(
    connection: &mut PgConnection,
    id: UserId,
    roles: &[RoleName],
) -> sqlx::Result<()> {
    let roles: Vec<String> = roles.iter().map(|role| role.as_str().to_owned()).collect();
    let removal = sqlx::query!(
        "DELETE FROM user_roles WHERE user_id = $1 AND role <> ALL($2)",
        id as _,
        &roles
    );
    named("users.remove_roles", removal.execute(&mut *connection)).await?;
    let addition = sqlx::query!(
        "INSERT INTO user_roles (user_id, role) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING",
        id as _,
        &roles,
    );
    named("users.add_roles", addition.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn set_status(
    connection: &mut PgConnection,
    id: UserId,
    status: UserStatus,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users
         SET status = $2, updated_at = $3,
             deletion_due_at = CASE WHEN $2 = 'active' THEN NULL ELSE deletion_due_at END
         WHERE id = $1",
        id as _,
        status as _,
        at,
    );
    named("users.set_status", query.execute(connection))
        .await
        .map(drop)
}

/// Shuts the account out until it is restored or deleted for good. One that is suspended stays suspended.
pub(super) async fn begin_deletion(
    connection: &mut PgConnection,
    id: UserId,
    due_at: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users
         SET status = CASE WHEN status = 'suspended' THEN status ELSE 'deleting' END, deletion_due_at = $2,
             updated_at = $3
         WHERE id = $1",
        id as _,
        due_at,
        at,
    );
    named("users.begin_deletion", query.execute(connection))
        .await
        .map(drop)
}

/// Takes the deletion back. One that is suspended stays suspended.
pub(super) async fn cancel_deletion(
    connection: &mut PgConnection,
    id: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users
         SET status = CASE WHEN status = 'deleting' THEN 'active' ELSE status END, deletion_due_at = NULL,
             updated_at = $2
         WHERE id = $1",
        id as _,
        at,
    );
    named("users.cancel_deletion", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn count_due_deletions(
    db: impl PgExecutor<'_>,
    before: OffsetDateTime,
) -> sqlx::Result<i64> {
    let query = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM users
           WHERE deletion_due_at < $1 AND status IN ('deleting', 'suspended')"#,
        before,
    );
    named("users.count_due_deletions", query.fetch_one(db)).await
}

/// Accounts whose grace period ended before this time, from an id on.
pub(super) async fn due_deletions(
    db: impl PgExecutor<'_>,
    before: OffsetDateTime,
    from: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<UserId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM users
         WHERE deletion_due_at < $1 AND status IN ('deleting', 'suspended') AND id > $2
         ORDER BY id LIMIT $3",
        before,
        from,
        limit,
    );
    named("users.due_deletions", query.fetch_all(db)).await
}

/// False when it was verified already. Drops a name that was given before the proof.
pub(super) async fn verify_email(
    connection: &mut PgConnection,
    id: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE users
         SET email_verified_at = $2, updated_at = $2,
             display_name = CASE WHEN imported_at IS NOT NULL THEN display_name END
         WHERE id = $1 AND email_verified_at IS NULL",
        id as _,
        at,
    );
    Ok(named("users.verify_email", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

pub(super) async fn set_display_name(
    connection: &mut PgConnection,
    id: UserId,
    display_name: Option<&str>,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users SET display_name = $2, updated_at = $3 WHERE id = $1",
        id as _,
        display_name,
        at
    );
    named("users.set_display_name", query.execute(connection))
        .await
        .map(drop)
}

/// Sets another password, or takes it away; devices that were known by the one before are strangers again. The hashes of
/// earlier passwords are kept if the last change was after `kept_since`, the five oldest.
pub(super) async fn set_password(
    connection: &mut PgConnection,
    id: UserId,
    hash: Option<&str>,
    (at, kept_since): (OffsetDateTime, OffsetDateTime),
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users
         SET password_hash = $2, password_changed_at = $3, recovery_from = NULL, updated_at = $3,
             retired_password_hashes = (CASE WHEN password_changed_at > $4 THEN retired_password_hashes ELSE '{}' END
                                        || array_remove(ARRAY[password_hash], NULL))[1:5]
         WHERE id = $1",
        id as _,
        hash,
        at,
        kept_since,
    );
    named("users.set_password", query.execute(connection))
        .await
        .map(drop)
}

/// Takes the password away until a mailed link sets another one; factors added from `from` on are not trusted then.
pub(super) async fn begin_recovery(
    connection: &mut PgConnection,
    id: UserId,
    from: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users
         SET retired_password_hashes = (retired_password_hashes || array_remove(ARRAY[password_hash], NULL))[1:5],
             password_hash = NULL, password_changed_at = $3, recovery_from = LEAST(recovery_from, $2), updated_at = $3
         WHERE id = $1",
        id as _,
        from,
        at,
    );
    named("users.begin_recovery", query.execute(connection))
        .await
        .map(drop)
}

/// From when on factors are not trusted by the recovery that is pending.
pub(super) async fn recovery_from(
    connection: &mut PgConnection,
    id: UserId,
) -> sqlx::Result<Option<OffsetDateTime>> {
    let query = sqlx::query_scalar!("SELECT recovery_from FROM users WHERE id = $1", id as _);
    Ok(
        named("users.recovery_from", query.fetch_optional(connection))
            .await?
            .flatten(),
    )
}

/// The hashes that the next password must not have: of the present one, and of earlier ones if the last change was after
/// `since`.
pub(super) async fn refused_hashes(
    db: impl PgExecutor<'_>,
    id: UserId,
    since: OffsetDateTime,
) -> sqlx::Result<Vec<String>> {
    let query = sqlx::query_scalar!(
        r#"SELECT CASE WHEN password_changed_at > $2 THEN retired_password_hashes ELSE '{}' END
                  || array_remove(ARRAY[password_hash], NULL) AS "hashes!"
           FROM users WHERE id = $1"#,
        id as _,
        since,
    );
    Ok(named("users.refused_hashes", query.fetch_optional(db))
        .await?
        .unwrap_or_default())
}

/// The same for the account that has this address.
pub(super) async fn lock_by_email(
    connection: &mut PgConnection,
    email: &Email,
) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM users WHERE email_key = ANY($1)
         ORDER BY email_verified_at NULLS LAST LIMIT 1 FOR NO KEY UPDATE",
        &email.keys(),
    );
    named("users.lock_by_email", query.fetch_optional(connection)).await
}

/// Gives the account another address; false if another account has it or can take it back. One statement checks both, as
/// [`insert`] does.
pub(super) async fn set_email(
    connection: &mut PgConnection,
    id: UserId,
    email: &Email,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE users SET email = $2, email_key = $3, email_verified_at = $4, updated_at = $4
         WHERE id = $1 AND NOT EXISTS (SELECT FROM users WHERE id <> $1 AND email_key = ANY($5))
           AND NOT EXISTS (SELECT FROM email_undos
                           WHERE user_id <> $1 AND email_key = ANY($5) AND expires_at > $4 AND waived_at IS NULL)",
        id as _,
        email.as_str(),
        email.key(),
        at,
        &email.keys(),
    );
    match named("users.set_email", query.execute(connection)).await {
        Ok(done) => Ok(done.rows_affected() == 1),
        Err(sqlx::Error::Database(refusal)) if refusal.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) async fn take_over(
    connection: &mut PgConnection,
    id: UserId,
    proved: &NewAccount,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users
         SET email = $2, email_key = $6, display_name = $3, password_hash = $4, password_changed_at = $5,
             email_verified_at = $5, updated_at = $5,
             recovery_from = NULL, retired_password_hashes = '{}', deletion_due_at = NULL,
             status = CASE WHEN status = 'deleting' THEN 'active' ELSE status END
         WHERE id = $1",
        id as _,
        proved.email.as_str(),
        proved.display_name.as_ref().map(DisplayName::as_str),
        proved.password_hash,
        at,
        proved.email.key(),
    );
    named("users.take_over", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn hold_unverified(
    connection: &mut PgConnection,
    email: &Email,
    except: UserId,
) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM users WHERE email_key = ANY($1) AND id <> $2 AND email_verified_at IS NULL
         FOR NO KEY UPDATE SKIP LOCKED",
        &email.keys(),
        except as _,
    );
    named("users.hold_unverified", query.fetch_optional(connection)).await
}

expired_rows! {
    /// Accounts that registered themselves before this time with a release without registrations and were never verified,
    /// for the clean-up. The audit log tells them from those that an operator created.
    never_verified: "users", key "id", over at "created_at",
    only if "email_verified_at IS NULL AND status = 'active' AND imported_at IS NULL
             AND EXISTS (SELECT FROM audit_events WHERE target_id = users.id
                         AND action = 'account.registered' AND outcome = 'success')"
}

/// Leaves of the account what the audit log's ids name, and nothing personal. Its address is free again.
pub(super) async fn bury(
    connection: &mut PgConnection,
    id: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let address = format!("deleted-{id}@deleted.invalid");
    let query = sqlx::query!(
        "UPDATE users
         SET status = 'deleted', email = $2, email_key = $2, display_name = NULL, password_hash = NULL,
             email_verified_at = NULL, recovery_from = NULL, retired_password_hashes = '{}',
             deletion_due_at = NULL, updated_at = $3
         WHERE id = $1",
        id as _,
        address,
        at,
    );
    named("users.bury", query.execute(&mut *connection)).await?;
    let roles = sqlx::query!("DELETE FROM user_roles WHERE user_id = $1", id as _);
    named("user_roles.remove_all_of", roles.execute(connection))
        .await
        .map(drop)
}

/// The same password under another hash; false when the row has another one than `old` by now.
pub(super) async fn replace_password_hash(
    connection: &mut PgConnection,
    id: UserId,
    old: Option<&str>,
    hash: &str,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
        id as _,
        old,
        hash,
    );
    Ok(
        named("users.replace_password_hash", query.execute(connection))
            .await?
            .rows_affected()
            == 1,
    )
}

pub(super) async fn lock_administrators(connection: &mut PgConnection) -> sqlx::Result<()> {
    let query = sqlx::query_scalar!(
        "SELECT name FROM roles WHERE name = $1 FOR UPDATE",
        role::ADMIN
    );
    named(
        "roles.lock_administrators",
        query.fetch_optional(connection),
    )
    .await
    .map(drop)
}

/// Up to two of them: more are not asked for.
pub(super) async fn active_administrators(
    connection: &mut PgConnection,
) -> sqlx::Result<Vec<UserId>> {
    let query = sqlx::query_scalar!(
        "SELECT users.id FROM users JOIN user_roles ON user_id = users.id
         WHERE role = $1 AND status = 'active' LIMIT 2",
        role::ADMIN,
    );
    named("users.active_administrators", query.fetch_all(connection)).await
}

/// Everybody who may act and has this permission by one of his roles.
pub(super) async fn with_permission(
    connection: &mut PgConnection,
    permission: Permission,
) -> sqlx::Result<Vec<UserId>> {
    let query = sqlx::query_scalar!(
        "SELECT DISTINCT users.id FROM users JOIN user_roles ON user_id = users.id JOIN roles ON name = role
         WHERE $1 = ANY(permissions) AND status = 'active'",
        permission as _,
    );
    named("users.with_permission", query.fetch_all(connection)).await
}

/// A lock that others may hold as well, and that waits for whoever changes the row.
pub(super) async fn hold_unchanged(
    connection: &mut PgConnection,
    id: UserId,
    password_changed_at: Option<OffsetDateTime>,
) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM users
         WHERE id = $1 AND status = 'active' AND password_changed_at IS NOT DISTINCT FROM $2
           AND recovery_from IS NULL
         FOR SHARE",
        id as _,
        password_changed_at,
    );
    Ok(
        named("users.hold_unchanged", query.fetch_optional(connection))
            .await?
            .is_some(),
    )
}
