//! The beginning of a session, however somebody proved who he is, and the tokens that carry it.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::authentication::Methods;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{SessionId, UserId};
use serde_json::json;
use time::OffsetDateTime;

use super::Auth;
use super::devices::KnownDevice;
use super::refresh_token::RefreshToken;
use super::sessions::{self, NewSession};
use crate::access_tokens::Grant;
use crate::unit::Unit;
use crate::users::{self, Credentials};
use crate::{Error, Result};

/// What a client holds of a session.
#[derive(Debug, Clone)]
pub struct SessionTokens {
    pub session: SessionId,
    pub access_token: String,
    /// Until the access token expires.
    pub expires_in: Duration,
    /// None where the one that the client has stays in force, and for a session that cannot be refreshed.
    pub refresh_token: Option<String>,
    /// By which this device is known from now on; after a login only.
    pub device_token: Option<String>,
}

/// Who opens a session, as his account stood when he began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opener {
    pub(super) user: UserId,
    pub(super) password_changed_at: Option<OffsetDateTime>,
    /// A second factor was proved, and the account had one after the proof.
    pub(super) by_factor: bool,
}

impl From<&Credentials> for Opener {
    fn from(known: &Credentials) -> Self {
        Self {
            user: known.id,
            password_changed_at: known.password_changed_at,
            by_factor: false,
        }
    }
}

impl Auth {
    /// Opens a session of a person who has proved by `methods` who they are. Refused if the account was suspended, its
    /// password changed, or its second factors removed since they began: what ends every session ends those under way as
    /// well.
    pub(super) async fn open(
        &self,
        origin: &Origin,
        who: Opener,
        methods: Methods,
        device: Option<KnownDevice>,
    ) -> Result<SessionTokens> {
        let user = who.user;
        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        let at = unit.at();
        if !users::hold_unchanged(&mut unit, user, who.password_changed_at).await? {
            return Err(account_changed());
        }
        if who.by_factor && !users::has_second_factor(&mut unit, user).await? {
            return Err(account_changed());
        }
        let id = SessionId::mint(at);
        let refresh_token = RefreshToken::first(id);
        let session = NewSession {
            id,
            user,
            refresh_hash: refresh_token.hash(),
            methods: &methods,
            idle_expires_at: at + self.lifetimes.session_idle,
            expires_at: at + self.lifetimes.session,
            impersonation: None,
        };
        sessions::insert(unit.connection(), &session, origin, at).await?;
        let details = json!({ "amr": methods.names() });
        unit.audit_with(
            Action::SessionCreated,
            Target::Session(id),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        let multi_factor = methods.are_multi_factor();
        let device_token =
            self.devices
                .issue(user, device.map(|device| device.id), multi_factor, at);
        let grant = Grant {
            user,
            session: id,
            authenticated_at: at,
            methods,
            impersonator: None,
        };
        Ok(SessionTokens {
            refresh_token: Some(refresh_token.reveal(&self.refresh_signer)),
            device_token: Some(device_token),
            ..self.tokens(grant).await?
        })
    }

    /// An access token, and nothing else.
    pub(super) async fn tokens(&self, grant: Grant) -> Result<SessionTokens> {
        let (session, lifetime) = (grant.session, self.lifetimes.access_token);
        let access_token = self
            .access_tokens
            .sign(grant, self.stores.clock.now(), lifetime)
            .await?;
        Ok(SessionTokens {
            session,
            access_token,
            expires_in: lifetime,
            refresh_token: None,
            device_token: None,
        })
    }
}

fn account_changed() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::AccountChanged,
        detail: "The account was changed meanwhile; log in again.",
    }
}
