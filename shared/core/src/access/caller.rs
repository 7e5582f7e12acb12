//! Who is asking.

use std::sync::Arc;

use plinth_domain::authentication::Methods;
use plinth_domain::id::{ApiKeyId, SessionId, TokenId, UserId};
use plinth_domain::user::User;
use time::OffsetDateTime;

use super::Rights;
use crate::access_tokens::Claims;

/// What somebody presents, once its form has been checked.
#[derive(Debug, Clone, Copy)]
pub enum Presented<'a> {
    AccessToken(&'a Claims),
    ApiKey { key: ApiKeyId, user: UserId },
}

impl Presented<'_> {
    pub(super) fn user(&self) -> UserId {
        match self {
            Self::AccessToken(claims) => claims.user(),
            Self::ApiKey { user, .. } => *user,
        }
    }
}

/// Who is asking, as the truth had it when he asked.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: Arc<User>,
    pub rights: Arc<Rights>,
    pub credential: Credential,
}

/// By what he is known.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A person who has logged in.
    Session(Login),
    /// A program.
    ApiKey {
        key: ApiKeyId,
        /// A second factor was proved at the session that made the key.
        multi_factor: bool,
    },
}

/// The login behind an access token.
#[derive(Debug, Clone)]
pub struct Login {
    pub session: SessionId,
    pub token: TokenId,
    pub token_expires_at: OffsetDateTime,
    /// When the person last proved who he is.
    pub authenticated_at: OffsetDateTime,
    pub methods: Methods,
    /// The administrator who acts in the user's name.
    pub impersonator: Option<UserId>,
}

impl Login {
    pub(super) fn of(claims: &Claims) -> Self {
        Self {
            session: claims.session(),
            token: claims.token(),
            token_expires_at: claims.expires_at(),
            authenticated_at: claims.authenticated_at(),
            methods: claims.methods().clone(),
            impersonator: claims.impersonator(),
        }
    }
}

impl Caller {
    /// The login, where it is a person who asks.
    pub fn login(&self) -> Option<&Login> {
        match &self.credential {
            Credential::Session(login) => Some(login),
            Credential::ApiKey { .. } => None,
        }
    }

    /// Whether a second factor was proved: by the person at the session, or at the session that made the key.
    pub fn is_multi_factor(&self) -> bool {
        match &self.credential {
            Credential::Session(login) => login.methods.are_multi_factor(),
            Credential::ApiKey { multi_factor, .. } => *multi_factor,
        }
    }

    pub fn api_key(&self) -> Option<ApiKeyId> {
        match &self.credential {
            Credential::Session(_) => None,
            Credential::ApiKey { key, .. } => Some(*key),
        }
    }
}
