//! A session as its owner, or an administrator, sees it.

use plinth_core::auth::SessionView;
use plinth_core::page::Page;
use plinth_domain::authentication::Method;
use plinth_domain::client::Client;
use plinth_domain::id::{SessionId, UserId};
use poem_openapi::Object;
use time::OffsetDateTime;

/// A login on one device.
#[derive(Object)]
pub(crate) struct Session {
    id: SessionId,
    /// Whether the request came with it.
    current: bool,
    /// What it seems to run on, e.g. `Firefox on Linux`.
    client: Option<String>,
    user_agent: Option<String>,
    /// Where it was opened from.
    ip: Option<String>,
    /// How its owner proved who they are (RFC 8176).
    amr: Vec<Method>,
    created_at: OffsetDateTime,
    /// When its owner last proved who he is.
    authenticated_at: OffsetDateTime,
    /// When its tokens were last refreshed.
    last_seen_at: OffsetDateTime,
    /// When it ends unless it is refreshed before.
    expires_at: OffsetDateTime,
    /// The administrator who acts in the user's name in it.
    impersonator_id: Option<UserId>,
}

impl Session {
    fn of(session: SessionView, current: Option<SessionId>) -> Self {
        Self {
            id: session.id,
            current: current == Some(session.id),
            client: session
                .user_agent
                .as_deref()
                .and_then(Client::of)
                .map(|client| client.to_string()),
            user_agent: session.user_agent,
            ip: session.ip.map(|ip| ip.to_string()),
            amr: session.methods.iter().collect(),
            created_at: session.created_at,
            authenticated_at: session.authenticated_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            impersonator_id: session.impersonator,
        }
    }
}

/// A part of the sessions, the newest first.
#[derive(Object)]
pub(crate) struct SessionPage {
    items: Vec<Session>,
    /// Asks for the next part as `?cursor=`; null at the end.
    next_cursor: Option<String>,
}

impl SessionPage {
    /// `current` is the session that the request came with.
    pub(crate) fn of(page: Page<SessionView>, current: Option<SessionId>) -> Self {
        let items = page
            .items
            .into_iter()
            .map(|session| Session::of(session, current))
            .collect();
        Self {
            items,
            next_cursor: page.next_cursor,
        }
    }
}

/// What was ended.
#[derive(Object)]
pub(crate) struct SessionsRevoked {
    /// How many sessions.
    revoked: u64,
}

impl SessionsRevoked {
    pub(crate) fn of(count: usize) -> Self {
        Self {
            revoked: u64::try_from(count).unwrap_or(u64::MAX),
        }
    }
}
