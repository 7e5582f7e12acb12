//! Authentication: registration, the proof of an address, login, sessions and their tokens. One file an operation.

mod access_token;
mod expiry;
mod login;
mod logout;
mod refresh;
mod register;
mod sessions;
mod tokens;
mod verification;

use std::time::Duration;

use plinth_domain::id::{SessionId, TokenId, UserId};
use plinth_platform::crypto::{PasswordHasher, RootKey};
use plinth_platform::settings::Settings;
use time::OffsetDateTime;

use crate::{Error, Result, Stores};

pub use access_token::{AccessTokens, Claims};
pub use expiry::{Removed, remove_expired};
pub use login::LoginRequest;
pub use register::Registration;
pub(crate) use sessions::live;
pub use verification::{Verification, VerificationMail};

/// The door to authentication.
#[derive(Clone)]
pub struct Auth {
    stores: Stores,
    hasher: PasswordHasher,
    access_tokens: AccessTokens,
    lifetimes: Lifetimes,
    successor_key: [u8; 32],
}

#[derive(Debug, Clone, Copy)]
struct Lifetimes {
    access_token: Duration,
    session_idle: Duration,
    session: Duration,
}

/// What a client holds of a session.
#[derive(Debug, Clone)]
pub struct SessionTokens {
    pub session: SessionId,
    pub access_token: String,
    /// Until the access token expires.
    pub expires_in: Duration,
    pub refresh_token: String,
}

impl Auth {
    pub fn new(stores: &Stores, settings: &Settings, root: &RootKey, hasher: PasswordHasher) -> Self {
        Self {
            stores: stores.clone(),
            hasher,
            access_tokens: AccessTokens::new(root, &settings.general.public_url),
            lifetimes: Lifetimes {
                access_token: settings.auth.access_token_lifetime,
                session_idle: settings.auth.session_idle_lifetime,
                session: settings.auth.session_lifetime,
            },
            successor_key: root.derive("refresh token successor v1"),
        }
    }

    /// What checks access tokens.
    pub fn access_tokens(&self) -> &AccessTokens {
        &self.access_tokens
    }

    fn tokens(
        &self,
        user: UserId,
        session: SessionId,
        authenticated_at: OffsetDateTime,
        refresh_token: String,
    ) -> Result<SessionTokens> {
        let now = self.stores.clock.now();
        let claims = Claims::new(
            user,
            session,
            TokenId::mint(now),
            now,
            now + self.lifetimes.access_token,
            authenticated_at,
        );
        let access_token = self.access_tokens.sign(&claims).map_err(Error::internal)?;
        Ok(SessionTokens { session, access_token, expires_in: self.lifetimes.access_token, refresh_token })
    }
}
