//! Step-up: whoever is logged in proves again who he is, before he does what only he may do (RFC 9470).

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::authentication::{Method, Methods};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{SessionId, UserId};
use plinth_domain::password::Password;
use time::Duration;

use super::mfa::{Beginning, LoginAnswer, Replaced, factor_unavailable};
use super::opening::Opener;
use super::refresh_token::RefreshToken;
use super::revocation::session_ended;
use super::throttle::Attempt;
use super::{Auth, SessionTokens, sessions, tokens};
use crate::access::{self, Login};
use crate::access_tokens::Grant;
use crate::unit::Unit;
use crate::{Error, Result, users};

impl Auth {
    /// Takes the password, and asks for the second factor where there is one. Without a password only a passkey will
    /// do.
    pub async fn step_up(
        &self,
        origin: &Origin,
        user: UserId,
        login: &Login,
        password: Option<Password>,
    ) -> Result<LoginAnswer> {
        let replaced = Replaced {
            token: login.token,
            expires_at: login.token_expires_at,
        };
        let has_password = password.is_some();
        let known = users::credentials_of(&self.stores, user).await?;
        let methods = if let Some(password) = password {
            let attempt = Attempt::in_session(login.session);
            self.throttle.begin(&attempt).await?;
            if !self
                .is_password_of(known.as_ref(), password, &attempt)
                .await?
            {
                self.refuse_login(origin, Some(user), &attempt).await?;
                return Err(Error::Unauthenticated {
                    code: ErrorCode::InvalidCredentials,
                    detail: "The password is wrong.",
                });
            }
            self.throttle.succeeded(&attempt).await;
            Methods::of(&[Method::Password])
        } else {
            Methods::default()
        };
        let password_changed_at = known.as_ref().and_then(|known| known.password_changed_at);
        let opener = Opener {
            user,
            password_changed_at,
            by_factor: false,
        };
        let begun = Beginning {
            opener,
            methods: methods.clone(),
            device: None,
            step_up: Some((login.session, replaced)),
            passkey_only: !has_password,
        };
        if let Some(challenge) = self.challenge(origin, begun).await? {
            return Ok(LoginAnswer::Challenge(challenge));
        }
        if !has_password {
            let detail = "There is no passkey to prove it with; give the password.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::NoPasskey,
                detail,
            });
        }
        if known.as_ref().is_none_or(|known| known.has_second_factor) {
            return Err(factor_unavailable());
        }
        self.renew(origin, opener, login.session, &methods, replaced)
            .await
            .map(LoginAnswer::Tokens)
    }

    /// New tokens for the session; the old ones end (ASVS 7.2.4). Refused if another password is in force than the one that
    /// was checked.
    pub(super) async fn renew(
        &self,
        origin: &Origin,
        opener: Opener,
        session: SessionId,
        proved: &Methods,
        replaced: Replaced,
    ) -> Result<SessionTokens> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if !users::hold_unchanged(&mut unit, opener.user, opener.password_changed_at).await? {
            return Err(session_ended());
        }
        unit.changes_session(session).await;
        let held = sessions::hold(unit.connection(), session, at).await?;
        let held = held.filter(|held| held.live).ok_or_else(session_ended)?;
        unit.act_as(held.user);
        let methods = held.methods.and(proved);
        // Tokens tell whole seconds: by a later one the gate knows those that are replaced.
        let authenticated_at = at.max(held.authenticated_at + Duration::SECOND);
        sessions::reauthenticate(unit.connection(), session, &methods, authenticated_at).await?;
        let refresh_token = RefreshToken::first(session);
        sessions::replace_refresh(unit.connection(), session, &refresh_token.hash(), at).await?;
        tokens::take_back(unit.connection(), replaced.token, replaced.expires_at).await?;
        unit.audit(
            Action::SessionSteppedUp,
            Target::Session(session),
            Outcome::Success,
        )
        .await?;
        unit.commit().await?;
        access::blacklist(&self.stores, replaced.token, replaced.expires_at - at).await;
        let grant = Grant {
            user: held.user,
            session,
            authenticated_at,
            methods,
            impersonator: held.impersonator,
        };
        let refresh_token = Some(refresh_token.reveal(&self.refresh_signer));
        Ok(SessionTokens {
            refresh_token,
            ..self.tokens(grant).await?
        })
    }
}

/// The person at the session has proved this as well; its next tokens say so.
pub(crate) async fn note_methods(
    unit: &mut Unit,
    session: SessionId,
    proved: &Methods,
) -> Result<()> {
    let at = unit.at();
    let Some(held) = sessions::hold(unit.connection(), session, at).await? else {
        return Ok(());
    };
    let methods = held.methods.and(proved);
    Ok(sessions::set_methods(unit.connection(), session, &methods).await?)
}
