//! The tables of accounts and roles.

use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::role;
use plinth_domain::text::DisplayName;
use plinth_domain::user::{User, UserStatus};
use plinth_platform::database::named;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Credentials, NewAccount};
use crate::Result;

struct Row {
    id: Uuid,
    email: String,
    display_name: Option<String>,
    email_verified_at: Option<OffsetDateTime>,
    status: String,
    created_at: OffsetDateTime,
    roles: Vec<String>,
    has_second_factor: bool,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: UserId(row.id),
            email: row.email,
            display_name: row.display_name,
            email_verified_at: row.email_verified_at,
            // A status of a newer build is none that this one lets in.
            status: UserStatus::parse(&row.status).unwrap_or(UserStatus::Suspended),
            roles: row.roles,
            has_second_factor: row.has_second_factor,
            created_at: row.created_at,
        }
    }
}

pub(super) async fn find(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<Option<User>> {
    let query = sqlx::query_as!(
        Row,
        r#"SELECT id, email, display_name, email_verified_at, status, created_at,
                  ARRAY(SELECT role FROM user_roles WHERE user_id = users.id ORDER BY role) AS "roles!",
                  EXISTS (SELECT FROM totp_factors WHERE user_id = users.id AND confirmed_at IS NOT NULL)
                      OR EXISTS (SELECT FROM passkeys WHERE user_id = users.id) AS "has_second_factor!"
           FROM users WHERE id = $1"#,
        id.0,
    );
    Ok(named("users.find", query.fetch_optional(db)).await?.map(User::from))
}

struct CredentialsRow {
    id: Uuid,
    password_hash: Option<String>,
    password_changed_at: Option<OffsetDateTime>,
    email_verified_at: Option<OffsetDateTime>,
    status: String,
}

impl From<CredentialsRow> for Credentials {
    fn from(row: CredentialsRow) -> Self {
        Self {
            id: UserId(row.id),
            password_hash: row.password_hash,
            password_changed_at: row.password_changed_at,
            email_verified: row.email_verified_at.is_some(),
            status: UserStatus::parse(&row.status).unwrap_or(UserStatus::Suspended),
        }
    }
}

pub(super) async fn credentials(db: impl PgExecutor<'_>, email: &Email) -> sqlx::Result<Option<Credentials>> {
    let query = sqlx::query_as!(
        CredentialsRow,
        "SELECT id, password_hash, password_changed_at, email_verified_at, status FROM users WHERE email_key = $1",
        email.key(),
    );
    Ok(named("users.credentials", query.fetch_optional(db)).await?.map(Credentials::from))
}

pub(super) async fn credentials_of(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<Option<Credentials>> {
    let query = sqlx::query_as!(
        CredentialsRow,
        "SELECT id, password_hash, password_changed_at, email_verified_at, status FROM users WHERE id = $1",
        id.0,
    );
    Ok(named("users.credentials_of", query.fetch_optional(db)).await?.map(Credentials::from))
}

/// Inserts the account unless its address is taken; false when it is.
pub(super) async fn insert(
    connection: &mut PgConnection,
    account: &NewAccount,
    email_verified_at: Option<OffsetDateTime>,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "INSERT INTO users (id, email, email_key, display_name, password_hash, email_verified_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         ON CONFLICT (email_key) DO NOTHING",
        account.id.0,
        account.email.as_str(),
        account.email.key(),
        account.display_name.as_ref().map(DisplayName::as_str),
        account.password_hash,
        email_verified_at,
        at,
    );
    Ok(named("users.insert", query.execute(connection)).await?.rows_affected() == 1)
}

pub(super) async fn add_role(connection: &mut PgConnection, id: UserId, role: &str) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO user_roles (user_id, role) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        id.0,
        role
    );
    named("users.add_role", query.execute(connection)).await.map(drop)
}

/// False when it was verified already.
pub(super) async fn verify_email(
    connection: &mut PgConnection,
    id: UserId,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE users SET email_verified_at = $2, updated_at = $2 WHERE id = $1 AND email_verified_at IS NULL",
        id.0,
        at,
    );
    Ok(named("users.verify_email", query.execute(connection)).await?.rows_affected() == 1)
}

pub(super) async fn set_display_name(
    connection: &mut PgConnection,
    id: UserId,
    display_name: Option<&str>,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE users SET display_name = $2, updated_at = $3 WHERE id = $1",
        id.0,
        display_name,
        at
    );
    named("users.set_display_name", query.execute(connection)).await.map(drop)
}

pub(super) async fn set_password(
    connection: &mut PgConnection,
    id: UserId,
    hash: &str,
    at: OffsetDateTime,
) -> Result<()> {
    let query =
        sqlx::query!("UPDATE users SET password_hash = $2, updated_at = $3 WHERE id = $1", id.0, hash, at);
    named("users.set_password", query.execute(connection)).await?;
    Ok(())
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
        id.0,
        old,
        hash,
    );
    Ok(named("users.replace_password_hash", query.execute(connection)).await?.rows_affected() == 1)
}

pub(super) async fn lock_administrators(connection: &mut PgConnection) -> sqlx::Result<()> {
    let query = sqlx::query_scalar!("SELECT name FROM roles WHERE name = $1 FOR UPDATE", role::ADMIN);
    named("roles.lock_administrators", query.fetch_optional(connection)).await.map(drop)
}

/// Up to two of them: more are not asked for.
pub(super) async fn active_administrators(connection: &mut PgConnection) -> sqlx::Result<Vec<UserId>> {
    let query = sqlx::query_scalar!(
        "SELECT users.id FROM users JOIN user_roles ON user_id = users.id
         WHERE role = $1 AND status = 'active' LIMIT 2",
        role::ADMIN,
    );
    let ids = named("users.active_administrators", query.fetch_all(connection)).await?;
    Ok(ids.into_iter().map(UserId).collect())
}
