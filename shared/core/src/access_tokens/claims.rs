//! What an access token says.

use std::sync::Arc;

use plinth_domain::authentication::Methods;
use plinth_domain::id::{SessionId, TokenId, UserId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Who the tokens are for.
pub(super) const AUDIENCE: &str = "plinth";

/// The claims of an access token (RFC 9068, section 2.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    iss: Arc<str>,
    pub(super) aud: Arc<str>,
    sub: UserId,
    sid: SessionId,
    jti: TokenId,
    #[serde(with = "time::serde::timestamp")]
    pub(super) iat: OffsetDateTime,
    /// Never written; whoever writes it is heeded.
    #[serde(
        with = "time::serde::timestamp::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) nbf: Option<OffsetDateTime>,
    #[serde(with = "time::serde::timestamp")]
    pub(super) exp: OffsetDateTime,
    #[serde(with = "time::serde::timestamp")]
    auth_time: OffsetDateTime,
    amr: Methods,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    act: Option<Actor>,
}

/// Who acts in the subject's name (RFC 8693, section 4.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Actor {
    sub: UserId,
}

/// What a token is made for.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) authenticated_at: OffsetDateTime,
    pub(crate) methods: Methods,
    pub(crate) impersonator: Option<UserId>,
}

impl Claims {
    pub(super) fn new(
        issuer: &Arc<str>,
        grant: Grant,
        token: TokenId,
        issued_at: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Self {
        Self {
            iss: issuer.clone(),
            aud: AUDIENCE.into(),
            sub: grant.user,
            sid: grant.session,
            jti: token,
            iat: issued_at,
            nbf: None,
            exp: expires_at,
            auth_time: grant.authenticated_at,
            amr: grant.methods,
            act: grant.impersonator.map(|sub| Actor { sub }),
        }
    }

    pub fn user(&self) -> UserId {
        self.sub
    }

    pub fn session(&self) -> SessionId {
        self.sid
    }

    pub fn token(&self) -> TokenId {
        self.jti
    }

    pub fn expires_at(&self) -> OffsetDateTime {
        self.exp
    }

    /// When the user last proved who he is.
    pub fn authenticated_at(&self) -> OffsetDateTime {
        self.auth_time
    }

    /// How he proved it.
    pub fn methods(&self) -> &Methods {
        &self.amr
    }

    /// Who acts in his name.
    pub fn impersonator(&self) -> Option<UserId> {
        self.act.as_ref().map(|actor| actor.sub)
    }
}
