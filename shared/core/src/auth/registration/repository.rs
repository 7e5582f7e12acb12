//! The tables of registrations and of their mailed links.

use std::net::IpAddr;

use plinth_domain::email::Email;
use plinth_domain::id::RegistrationId;
use plinth_domain::text::DisplayName;
use plinth_platform::database::named;
use sqlx::types::ipnet::IpNet;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

/// A registration to insert.
pub(super) struct NewRegistration {
    pub(super) id: RegistrationId,
    pub(super) email: Email,
    pub(super) display_name: Option<DisplayName>,
    pub(super) password_hash: String,
    pub(super) network: Option<IpAddr>,
}

/// A registration that is not proved yet.
pub(super) struct Pending {
    pub(super) id: RegistrationId,
    pub(super) email: String,
    pub(super) email_key: String,
    pub(super) display_name: Option<String>,
    pub(super) password_hash: String,
    pub(super) network: Option<IpAddr>,
}

struct Row {
    id: RegistrationId,
    email: String,
    email_key: String,
    display_name: Option<String>,
    password_hash: String,
    network: Option<IpNet>,
}

impl From<Row> for Pending {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            email: row.email,
            email_key: row.email_key,
            display_name: row.display_name,
            password_hash: row.password_hash,
            network: row.network.map(|network| network.addr()),
        }
    }
}

/// Serializes what happens to the registrations of one address until the end of the transaction. An account is locked
/// after it.
pub(super) async fn lock_address(
    connection: &mut PgConnection,
    email_key: &str,
) -> sqlx::Result<()> {
    let name = format!("registrations:{email_key}");
    let query = sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        name
    );
    named("registrations.lock_address", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    new: &NewRegistration,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO registrations (id, email, email_key, display_name, password_hash, network, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        new.id as _,
        new.email.as_str(),
        new.email.key(),
        new.display_name.as_ref().map(DisplayName::as_str),
        new.password_hash,
        new.network.map(IpNet::from) as _,
        at,
    );
    named("registrations.insert", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn find(
    db: impl PgExecutor<'_>,
    id: RegistrationId,
) -> sqlx::Result<Option<Pending>> {
    let query = sqlx::query_as!(
        Row,
        r#"SELECT id, email, email_key, display_name, password_hash, network AS "network: IpNet"
           FROM registrations WHERE id = $1"#,
        id as _,
    );
    Ok(named("registrations.find", query.fetch_optional(db))
        .await?
        .map(Pending::from))
}

/// Returns the registration that a valid token was mailed for.
pub(super) async fn find_by_token(
    db: impl PgExecutor<'_>,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> sqlx::Result<Option<Pending>> {
    let query = sqlx::query_as!(
        Row,
        r#"SELECT id, email, email_key, display_name, password_hash, network AS "network: IpNet"
           FROM registrations
           WHERE id = (SELECT registration_id FROM registration_tokens
                       WHERE token_hash = $1 AND expires_at > $2)"#,
        hash,
        now,
    );
    Ok(
        named("registrations.find_by_token", query.fetch_optional(db))
            .await?
            .map(Pending::from),
    )
}

/// Removes the registration with its links; false if it was gone.
pub(super) async fn remove(
    connection: &mut PgConnection,
    id: RegistrationId,
) -> sqlx::Result<bool> {
    let query = sqlx::query!("DELETE FROM registrations WHERE id = $1", id as _);
    Ok(named("registrations.remove", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Removes every registration of the address.
pub(super) async fn remove_all_of(
    connection: &mut PgConnection,
    email_key: &str,
) -> sqlx::Result<()> {
    let query = sqlx::query!("DELETE FROM registrations WHERE email_key = $1", email_key);
    named("registrations.remove_all_of", query.execute(connection))
        .await
        .map(drop)
}

/// Counts a wrong password; returns how many there were, or `None` if the registration is gone.
pub(super) async fn fail(
    connection: &mut PgConnection,
    id: RegistrationId,
) -> sqlx::Result<Option<i16>> {
    let query = sqlx::query_scalar!(
        "UPDATE registrations SET failures = failures + 1 WHERE id = $1 RETURNING failures",
        id as _
    );
    named("registrations.fail", query.fetch_optional(connection)).await
}

/// A mailed link to insert.
pub(super) struct NewToken {
    pub(super) hash: [u8; 32],
    pub(super) registration: RegistrationId,
    pub(super) expires_at: OffsetDateTime,
    /// When the mail was asked for.
    pub(super) created_at: OffsetDateTime,
}

pub(super) async fn insert_token(
    connection: &mut PgConnection,
    token: &NewToken,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO registration_tokens (token_hash, registration_id, expires_at, created_at)
         VALUES ($1, $2, $3, $4)",
        &token.hash,
        token.registration as _,
        token.expires_at,
        token.created_at,
    );
    named("registration_tokens.insert", query.execute(connection))
        .await
        .map(drop)
}

/// Mails of registrations to one address.
pub(super) struct Mailed {
    /// Those of this registration, in the short period.
    pub(super) own: i64,
    /// Those that registrations from the same network caused.
    pub(super) by_network: i64,
    pub(super) all: i64,
}

/// Counts the mails to the address of `pending`: its own since `own_since`, and all since `since`. The mail that was asked
/// for at `except` does not count: it is a repetition of the one to be sent.
pub(super) async fn count_mails(
    connection: &mut PgConnection,
    pending: &Pending,
    own_since: OffsetDateTime,
    since: OffsetDateTime,
    except: Option<OffsetDateTime>,
) -> sqlx::Result<Mailed> {
    let query = sqlx::query_as!(
        Mailed,
        r#"SELECT count(*) FILTER (WHERE id = $2 AND mailed_at > $3) AS "own!",
                  count(*) FILTER (WHERE network IS NOT DISTINCT FROM $4) AS "by_network!",
                  count(*) AS "all!"
           FROM (SELECT DISTINCT registrations.id, network, registration_tokens.created_at AS mailed_at
                 FROM registration_tokens JOIN registrations ON registrations.id = registration_id
                 WHERE email_key = $1 AND registration_tokens.created_at > $5) AS mails
           WHERE (id, mailed_at) IS DISTINCT FROM ($2, $6)"#,
        pending.email_key,
        pending.id as _,
        own_since,
        pending.network.map(IpNet::from) as _,
        since,
        except,
    );
    named(
        "registration_tokens.count_mails",
        query.fetch_one(connection),
    )
    .await
}
