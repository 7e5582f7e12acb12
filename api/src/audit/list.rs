//! GET /v1/audit-events

use plinth_core::Error;
use plinth_core::audit::{AuditLog, Event, Filter};
use plinth_core::page::PageRequest;
use plinth_domain::audit::{Action, Outcome, TargetKind};
use plinth_domain::closed_set::Recorded;
use plinth_domain::id::{ApiKeyId, AuditEventId, SessionId, UserId};
use plinth_domain::rejection::Rejection;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, AuditRead};

pub(crate) struct ListAuditEvents {
    pub(super) audit: AuditLog,
}

impl Operation for ListAuditEvents {}

/// An action that was performed or refused.
#[derive(Object)]
struct AuditEvent {
    id: AuditEventId,
    occurred_at: OffsetDateTime,
    /// The user who acted; null for the system and for anonymous callers.
    actor_id: Option<UserId>,
    session_id: Option<SessionId>,
    /// The administrator who impersonated the actor.
    impersonator_id: Option<UserId>,
    /// The API key with which a program acted for the actor.
    api_key_id: Option<ApiKeyId>,
    /// The action, for example `session.created`.
    action: Recorded<Action>,
    /// The kind of the target: `user`, `session` or `file`.
    target_kind: Option<Recorded<TargetKind>>,
    target_id: Option<Uuid>,
    /// The IP address of the client.
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    outcome: Outcome,
    details: Value,
}

impl From<Event> for AuditEvent {
    fn from(event: Event) -> Self {
        Self {
            id: event.id,
            occurred_at: event.occurred_at,
            actor_id: event.actor_id,
            session_id: event.session_id,
            impersonator_id: event.impersonator_id,
            api_key_id: event.api_key_id,
            action: event.action,
            target_kind: event.target_kind,
            target_id: event.target_id,
            ip: event.ip.map(|network| network.addr().to_string()),
            user_agent: event.user_agent,
            request_id: event.request_id,
            outcome: event.outcome,
            details: event.details,
        }
    }
}

/// A page of the audit log, the newest first.
#[derive(Object)]
struct AuditEventPage {
    items: Vec<AuditEvent>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Audit")]
impl ListAuditEvents {
    /// List audit events
    ///
    /// Returns the newest first.
    #[oai(
        path = "/audit-events",
        method = "get",
        operation_id = "listAuditEvents"
    )]
    async fn list(
        &self,
        _caller: Allowed<AuditRead>,
        /// Only actions of this user.
        actor_id: Query<Option<Uuid>>,
        /// Only this action.
        action: Query<Option<Recorded<Action>>>,
        /// Only actions on this user, session or file.
        target_id: Query<Option<Uuid>>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<AuditEventPage>> {
        let action = action.0.map(known_action).transpose()?;
        let filter = Filter {
            actor_id: actor_id.0.map(UserId),
            action,
            target_id: target_id.0,
        };
        let page = self
            .audit
            .list(&filter, PageRequest::parse(limit.0, cursor.0.as_deref())?)
            .await?;
        let items = page.items.into_iter().map(AuditEvent::from).collect();
        Ok(Json(AuditEventPage {
            items,
            next_cursor: page.next_cursor,
        }))
    }
}

fn known_action(name: Recorded<Action>) -> std::result::Result<Action, Error> {
    let rejection = || Rejection::new("unknown_action", "Unknown action.");
    name.known()
        .ok_or_else(|| Error::invalid("/query/action", rejection()))
}
