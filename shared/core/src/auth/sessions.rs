//! The table of sessions.

use std::net::IpAddr;

use plinth_domain::audit::Origin;
use plinth_domain::authentication::Methods;
use plinth_domain::id::{SessionId, TokenId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::types::ipnet::IpNet;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use crate::access::Standing;
use crate::page::PageRequest;

pub(super) struct NewSession<'a> {
    pub(super) id: SessionId,
    pub(super) user: UserId,
    pub(super) refresh_hash: [u8; 32],
    pub(super) methods: &'a Methods,
    pub(super) idle_expires_at: OffsetDateTime,
    pub(super) expires_at: OffsetDateTime,
    pub(super) impersonation: Option<Impersonation<'a>>,
}

/// Who acts in the name of the session's user, and why.
pub(super) struct Impersonation<'a> {
    pub(super) by: UserId,
    pub(super) reason: &'a str,
}

/// A session as a refresh finds it.
pub(super) struct Held {
    pub(super) id: SessionId,
    pub(super) user: UserId,
    pub(super) refresh_hash: Vec<u8>,
    /// The hash before the last rotation.
    pub(super) previous_refresh_hash: Option<Vec<u8>>,
    pub(super) rotated_at: Option<OffsetDateTime>,
    pub(super) authenticated_at: OffsetDateTime,
    pub(super) methods: Methods,
    pub(super) impersonator: Option<UserId>,
    pub(super) expires_at: OffsetDateTime,
    pub(super) live: bool,
}

/// A live session, as its owner sees it.
#[derive(Debug, Clone)]
pub struct SessionView {
    pub id: SessionId,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub methods: Methods,
    pub created_at: OffsetDateTime,
    pub authenticated_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
    /// When it ends unless it is used before.
    pub expires_at: OffsetDateTime,
    pub impersonator: Option<UserId>,
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    session: &NewSession<'_>,
    origin: &Origin,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO sessions
             (id, user_id, refresh_hash, ip, user_agent, authenticated_at, last_seen_at, idle_expires_at, expires_at,
              created_at, amr, impersonator_id, impersonation_reason)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $6, $9, $10, $11)",
        session.id as _,
        session.user as _,
        &session.refresh_hash,
        origin.ip.map(IpNet::from) as _,
        origin.user_agent,
        at,
        session.idle_expires_at,
        session.expires_at,
        session.methods as _,
        session.impersonation.as_ref().map(|impersonation| impersonation.by) as _,
        session.impersonation.as_ref().map(|impersonation| impersonation.reason),
    );
    named("sessions.insert", query.execute(connection))
        .await
        .map(drop)
}

/// The session, locked: two refreshes of one session follow each other.
pub(super) async fn hold(
    connection: &mut PgConnection,
    id: SessionId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Held>> {
    let query = sqlx::query!(
        r#"SELECT id, user_id, refresh_hash, previous_refresh_hash, rotated_at, authenticated_at, amr, impersonator_id,
                  expires_at, revoked_at IS NULL AND LEAST(idle_expires_at, expires_at) > $2 AS "live!"
           FROM sessions WHERE id = $1
           FOR UPDATE"#,
        id as _,
        now,
    );
    let row = named("sessions.hold", query.fetch_optional(connection)).await?;
    Ok(row.map(|row| Held {
        id: row.id,
        user: row.user_id,
        refresh_hash: row.refresh_hash,
        previous_refresh_hash: row.previous_refresh_hash,
        rotated_at: row.rotated_at,
        authenticated_at: row.authenticated_at,
        methods: row.amr,
        impersonator: row.impersonator_id,
        expires_at: row.expires_at,
        live: row.live,
    }))
}

/// Whose it is, which never changes.
pub(super) async fn owner(
    connection: &mut PgConnection,
    id: SessionId,
) -> sqlx::Result<Option<UserId>> {
    let query = sqlx::query_scalar!("SELECT user_id FROM sessions WHERE id = $1", id as _);
    named("sessions.owner", query.fetch_optional(connection)).await
}

pub(super) async fn rotate(
    connection: &mut PgConnection,
    id: SessionId,
    next_hash: &[u8; 32],
    idle_expires_at: OffsetDateTime,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE sessions
         SET previous_refresh_hash = refresh_hash, refresh_hash = $2, rotated_at = $3, last_seen_at = $3,
             idle_expires_at = $4
         WHERE id = $1",
        id as _,
        next_hash,
        at,
        idle_expires_at,
    );
    named("sessions.rotate", query.execute(connection))
        .await
        .map(drop)
}

/// Gives the session another refresh token, which is not the successor of the one before.
pub(super) async fn replace_refresh(
    connection: &mut PgConnection,
    id: SessionId,
    hash: &[u8; 32],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE sessions SET previous_refresh_hash = refresh_hash, refresh_hash = $2, rotated_at = $3 WHERE id = $1",
        id as _,
        hash,
        at,
    );
    named("sessions.replace_refresh", query.execute(connection))
        .await
        .map(drop)
}

/// Notes that the person at the session has proved again who he is, and by what.
pub(super) async fn reauthenticate(
    connection: &mut PgConnection,
    id: SessionId,
    methods: &Methods,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE sessions SET authenticated_at = $2, last_seen_at = $2, amr = $3 WHERE id = $1",
        id as _,
        at,
        methods as _,
    );
    named("sessions.reauthenticate", query.execute(connection))
        .await
        .map(drop)
}

/// Notes that more was proved at the session; when its owner last proved who he is stays as it was.
pub(super) async fn set_methods(
    connection: &mut PgConnection,
    id: SessionId,
    methods: &Methods,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE sessions SET amr = $2 WHERE id = $1",
        id as _,
        methods as _
    );
    named("sessions.set_methods", query.execute(connection))
        .await
        .map(drop)
}

/// False when it had ended already.
pub(super) async fn revoke(
    connection: &mut PgConnection,
    id: SessionId,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query!(
        "UPDATE sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        id as _,
        at
    );
    Ok(named("sessions.revoke", query.execute(connection))
        .await?
        .rows_affected()
        == 1)
}

/// Those of a user that have not ended, and those in which he acts for others.
pub(super) async fn live_of(
    connection: &mut PgConnection,
    user: UserId,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<SessionId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM sessions
         WHERE (user_id = $1 OR impersonator_id = $1) AND revoked_at IS NULL
           AND LEAST(idle_expires_at, expires_at) > $2
         ORDER BY id FOR UPDATE",
        user as _,
        now,
    );
    named("sessions.live_of", query.fetch_all(connection)).await
}

/// Those in which the user acts for others, or others for him.
pub(super) async fn impersonations_around(
    connection: &mut PgConnection,
    user: UserId,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<SessionId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM sessions
         WHERE (impersonator_id = $1 OR user_id = $1 AND impersonator_id IS NOT NULL) AND revoked_at IS NULL
           AND LEAST(idle_expires_at, expires_at) > $2
         ORDER BY id FOR UPDATE",
        user as _,
        now,
    );
    named(
        "sessions.impersonations_around",
        query.fetch_all(connection),
    )
    .await
}

/// Those in which users with this role act for others, or others for them.
pub(super) async fn impersonations_around_role(
    connection: &mut PgConnection,
    role: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<SessionId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM sessions
         WHERE impersonator_id IS NOT NULL AND revoked_at IS NULL AND LEAST(idle_expires_at, expires_at) > $2
           AND EXISTS (SELECT FROM user_roles WHERE role = $1 AND user_roles.user_id IN (impersonator_id, sessions.user_id))
         ORDER BY id FOR UPDATE",
        role,
        now,
    );
    named(
        "sessions.impersonations_around_role",
        query.fetch_all(connection),
    )
    .await
}

/// Locks a session of the user, and those in which the user acts for others; returns the latter. A session in which
/// another user acts began none of them.
pub(super) async fn hold_with_impersonations(
    connection: &mut PgConnection,
    user: UserId,
    session: SessionId,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<SessionId>> {
    let query = sqlx::query_scalar!(
        "SELECT id FROM sessions
         WHERE id = $2
            OR impersonator_id = $1 AND revoked_at IS NULL AND LEAST(idle_expires_at, expires_at) > $3
               AND EXISTS (SELECT FROM sessions own WHERE own.id = $2 AND own.impersonator_id IS NULL)
         ORDER BY id FOR UPDATE",
        user as _,
        session as _,
        now,
    );
    let ids = named(
        "sessions.hold_with_impersonations",
        query.fetch_all(connection),
    )
    .await?;
    Ok(ids.into_iter().filter(|id| *id != session).collect())
}

pub(super) async fn revoke_all(
    connection: &mut PgConnection,
    ids: &[SessionId],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "UPDATE sessions SET revoked_at = $2 WHERE id = ANY($1) AND revoked_at IS NULL",
        ids as _,
        at
    );
    named("sessions.revoke_all", query.execute(connection))
        .await
        .map(drop)
}

/// Whether the user has this session and it has not ended.
pub(super) async fn is_live_of(
    connection: &mut PgConnection,
    user: UserId,
    id: SessionId,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM sessions WHERE id = $2 AND user_id = $1 AND revoked_at IS NULL
                            AND LEAST(idle_expires_at, expires_at) > $3) AS "is_live!""#,
        user as _,
        id as _,
        now,
    );
    named("sessions.is_live_of", query.fetch_one(connection)).await
}

pub(super) async fn list(
    db: &PgPool,
    user: UserId,
    now: OffsetDateTime,
    page: PageRequest,
) -> sqlx::Result<Vec<SessionView>> {
    let query = sqlx::query!(
        r#"SELECT id, ip AS "ip: IpNet", user_agent, amr, created_at, authenticated_at, last_seen_at,
                  LEAST(idle_expires_at, expires_at) AS "expires_at!", impersonator_id
           FROM sessions
           WHERE user_id = $1 AND id < $2 AND revoked_at IS NULL AND LEAST(idle_expires_at, expires_at) > $3
           ORDER BY id DESC
           LIMIT $4"#,
        user as _,
        page.before(),
        now,
        page.fetch(),
    );
    let rows = named("sessions.list", query.fetch_all(db)).await?;
    Ok(rows
        .into_iter()
        .map(|row| SessionView {
            id: row.id,
            ip: row.ip.map(|network| network.addr()),
            user_agent: row.user_agent,
            methods: row.amr,
            created_at: row.created_at,
            authenticated_at: row.authenticated_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            impersonator: row.impersonator_id,
        })
        .collect())
}

/// A live session, as a request with one of its tokens is decided on.
pub(crate) struct Live {
    pub(crate) user: UserId,
    pub(crate) expires_at: OffsetDateTime,
    /// When its owner last proved who he is.
    pub(crate) authenticated_at: OffsetDateTime,
}

/// Whether the session is live, and the status of its account. `None` if there is no such session.
pub(crate) async fn standing(
    db: impl PgExecutor<'_>,
    id: SessionId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Standing>> {
    let query = sqlx::query!(
        r#"SELECT revoked_at IS NULL AND LEAST(idle_expires_at, expires_at) > $2 AS "is_live!", users.status
           FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = $1"#,
        id as _,
        now,
    );
    let row = named("sessions.standing", query.fetch_optional(db)).await?;
    Ok(row.map(|row| Standing {
        is_live: row.is_live,
        status: row.status,
    }))
}

/// The session, if it is live and the token was not taken back.
pub(crate) async fn live(
    db: &PgPool,
    id: SessionId,
    token: TokenId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Live>> {
    let query = sqlx::query!(
        r#"SELECT user_id, LEAST(idle_expires_at, expires_at) AS "expires_at!", authenticated_at
           FROM sessions
           WHERE id = $1 AND revoked_at IS NULL AND LEAST(idle_expires_at, expires_at) > $3
             AND NOT EXISTS (SELECT FROM revoked_tokens WHERE id = $2)"#,
        id as _,
        token as _,
        now,
    );
    let row = named("sessions.live", query.fetch_optional(db)).await?;
    Ok(row.map(|row| Live {
        user: row.user_id,
        expires_at: row.expires_at,
        authenticated_at: row.authenticated_at,
    }))
}
