//! Login by password: a session and its first tokens.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::SessionId;
use plinth_domain::password::Password;
use plinth_domain::user::UserStatus;
use plinth_platform::crypto::OpaqueToken;
use serde_json::json;

use super::sessions::{self, NewSession};
use super::{Auth, SessionTokens};
use crate::unit::Unit;
use crate::users::{self, Credentials};
use crate::{Error, Result};

/// What somebody who logs in presents. An address that cannot be one is as unknown as any other.
#[derive(Debug)]
pub struct LoginRequest {
    pub email: Option<Email>,
    pub password: Password,
}

impl Auth {
    /// Opens a session. An unknown address costs a hash as well and gives the same answer as a wrong password.
    pub async fn log_in(&self, origin: &Origin, request: LoginRequest) -> Result<SessionTokens> {
        let known = match &request.email {
            Some(email) => users::credentials(&self.stores, email).await?,
            None => None,
        };
        let hash = known.as_ref().map(|known| known.password_hash.clone());
        if !self.hasher.verify(request.password, hash).await? {
            let target = known.as_ref().map_or(Target::None, |known| Target::User(known.id));
            self.refuse(origin, target, "invalid_credentials").await?;
            return Err(Error::Unauthenticated {
                code: "invalid_credentials",
                detail: "The e-mail address or the password is wrong.",
            });
        }
        let known = known.ok_or_else(|| Error::internal("a password matched no account"))?;
        self.admit(origin, &known).await?;
        self.open(origin, &known).await
    }

    /// Whoever knows the password learns why he may not come in.
    async fn admit(&self, origin: &Origin, known: &Credentials) -> Result<()> {
        let (code, detail) = if known.status != UserStatus::Active {
            ("account_suspended", "The account is suspended.")
        } else if !known.email_verified {
            ("email_not_verified", "The e-mail address is not verified yet; open the link in the mail.")
        } else {
            return Ok(());
        };
        self.refuse(origin, Target::User(known.id), code).await?;
        Err(Error::Forbidden { code, detail: detail.to_owned() })
    }

    async fn refuse(&self, origin: &Origin, target: Target, reason: &str) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        unit.audit_with(Action::SessionRefused, target, Outcome::Refused, json!({ "reason": reason }))
            .await?;
        unit.commit().await
    }

    async fn open(&self, origin: &Origin, known: &Credentials) -> Result<SessionTokens> {
        let refresh_token = OpaqueToken::generate();
        let mut unit = Unit::begin(&self.stores, &origin.by(known.id)).await?;
        let at = unit.at();
        let session = NewSession {
            id: SessionId::mint(at),
            user: known.id,
            refresh_hash: refresh_token.hash(),
            idle_expires_at: at + self.lifetimes.session_idle,
            expires_at: at + self.lifetimes.session,
        };
        sessions::insert(unit.connection(), &session, origin, at).await?;
        unit.audit(Action::SessionCreated, Target::Session(session.id), Outcome::Success).await?;
        unit.commit().await?;
        self.tokens(known.id, session.id, at, refresh_token.reveal())
    }
}
