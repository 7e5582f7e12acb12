//! The audit log's table.

use plinth_domain::audit::{Action, Origin, Outcome, TargetKind};
use plinth_domain::closed_set::Recorded;
use plinth_domain::id::{ApiKeyId, AuditEventId, SessionId, UserId};
use plinth_platform::database::{PgPool, named};
use sqlx::PgConnection;
use sqlx::types::ipnet::IpNet;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Filter, NewEvent};
use crate::page::PageRequest;

/// An event as it was written.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: AuditEventId,
    pub occurred_at: OffsetDateTime,
    pub actor_id: Option<UserId>,
    pub session_id: Option<SessionId>,
    pub impersonator_id: Option<UserId>,
    pub api_key_id: Option<ApiKeyId>,
    pub action: Recorded<Action>,
    pub target_kind: Option<Recorded<TargetKind>>,
    pub target_id: Option<Uuid>,
    pub ip: Option<IpNet>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub outcome: Outcome,
    pub details: serde_json::Value,
}

pub(crate) async fn insert(
    connection: &mut PgConnection,
    origin: &Origin,
    event: &NewEvent,
) -> sqlx::Result<()> {
    let query = sqlx::query!(
        "INSERT INTO audit_events
             (id, occurred_at, actor_id, session_id, action, target_kind, target_id, ip, user_agent, request_id,
              outcome, details, impersonator_id, api_key_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        event.id as _,
        event.at,
        origin.actor as _,
        origin.session as _,
        event.action as _,
        event.target.kind() as _,
        event.target.id(),
        origin.ip.map(IpNet::from) as _,
        origin.user_agent,
        origin.request_id,
        event.outcome as _,
        event.details,
        origin.impersonator as _,
        origin.api_key as _,
    );
    named("audit.insert", query.execute(connection))
        .await
        .map(drop)
}

pub(super) async fn has_any(db: &PgPool, action: Action) -> sqlx::Result<bool> {
    let query = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM audit_events WHERE action = $1) AS "has_any!""#,
        action as _,
    );
    named("audit.has_any", query.fetch_one(db)).await
}

pub(super) async fn list(
    db: &PgPool,
    filter: &Filter,
    page: PageRequest,
) -> sqlx::Result<Vec<Event>> {
    let query = sqlx::query_as!(
        Event,
        r#"SELECT id, occurred_at, actor_id, session_id, impersonator_id, api_key_id, action, target_kind, target_id,
                  ip AS "ip: IpNet", user_agent, request_id, outcome, details
           FROM audit_events
           WHERE id < $1
             AND ($2::uuid IS NULL OR actor_id = $2)
             AND ($3::text IS NULL OR action = $3)
             AND ($4::uuid IS NULL OR target_id = $4)
           ORDER BY id DESC
           LIMIT $5"#,
        page.before(),
        filter.actor_id as _,
        filter.action as _,
        filter.target_id,
        page.fetch(),
    );
    named("audit.list", query.fetch_all(db)).await
}
