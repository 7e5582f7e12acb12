//! A session in responses to its user or to an administrator.

use plinth_core::auth::SessionView;
use plinth_core::page::Page;
use plinth_domain::authentication::Method;
use plinth_domain::client::Client;
use plinth_domain::id::{SessionId, UserId};
use poem_openapi::Object;
use time::OffsetDateTime;

/// A login session of one device.
#[derive(Object)]
pub(crate) struct Session {
    id: SessionId,
    /// Whether this is the session of the request.
    current: bool,
    /// The browser and operating system that the user agent names, for example `Firefox on Linux`.
    client: Option<String>,
    user_agent: Option<String>,
    /// The IP address that opened the session.
    ip: Option<String>,
    /// How the user was authenticated (RFC 8176): `pwd`, `otp`, `pop`, `recovery`, `mfa`.
    amr: Vec<Method>,
    created_at: OffsetDateTime,
    /// When the user was last authenticated.
    authenticated_at: OffsetDateTime,
    /// When the tokens were last refreshed.
    last_seen_at: OffsetDateTime,
    /// When the session ends unless it is refreshed.
    expires_at: OffsetDateTime,
    /// The administrator who impersonates the user in this session.
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

/// A page of sessions, the newest first.
#[derive(Object)]
pub(crate) struct SessionPage {
    items: Vec<Session>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

impl SessionPage {
    /// Builds a page. `current` is the session of the request.
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

/// The result of ending sessions.
#[derive(Object)]
pub(crate) struct SessionsRevoked {
    /// The number of sessions that ended.
    revoked: u64,
}

impl SessionsRevoked {
    pub(crate) fn of(count: usize) -> Self {
        Self {
            revoked: u64::try_from(count).unwrap_or(u64::MAX),
        }
    }
}
