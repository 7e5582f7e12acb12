//! Login by password: a session and its first tokens.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::authentication::{Method, Methods};
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::password::Password;
use plinth_domain::user::UserStatus;
use plinth_platform::crypto::{HashFailure, Verified};
use serde_json::json;

use super::Auth;
use super::devices::KnownDevice;
use super::mfa::{Beginning, LoginAnswer, factor_unavailable};
use super::throttle::Attempt;
use crate::unit::Unit;
use crate::users::{self, Credentials};
use crate::{Error, Result};

/// What somebody who logs in presents. An address that cannot be one is as unknown as any other.
#[derive(Debug)]
pub struct LoginRequest {
    pub email: Option<Email>,
    pub password: Password,
    /// What an earlier login on this device was given.
    pub device_token: Option<String>,
}

impl Auth {
    /// Opens a session. An unknown address costs a hash as well and gives the same answer as a wrong password.
    ///
    /// An account with a second factor gets a challenge for it instead.
    pub async fn log_in(&self, origin: &Origin, request: LoginRequest) -> Result<LoginAnswer> {
        let known = match &request.email {
            Some(email) => users::credentials(&self.stores, email).await?,
            None => None,
        };
        let device = self.known_device(known.as_ref(), request.device_token.as_deref());
        let attempt = Attempt::password(
            origin.ip,
            request.email.as_ref(),
            device.map(|device| device.id),
        );
        self.throttle.begin(&attempt).await?;
        if !self
            .is_password_of(known.as_ref(), request.password, &attempt)
            .await?
        {
            self.refuse_login(origin, known.as_ref().map(|known| known.id), &attempt)
                .await?;
            return Err(wrong_credentials());
        }
        let known = known.ok_or_else(|| Error::internal("a password matched no account"))?;
        self.throttle.succeeded(&attempt).await;
        self.admit(origin, &known).await?;
        let methods = Methods::of(&[Method::Password]);
        let begun = Beginning {
            opener: (&known).into(),
            methods: methods.clone(),
            device,
            step_up: None,
            passkey_only: false,
        };
        if known.has_second_factor {
            let challenge = self.challenge(origin, begun).await?;
            return challenge
                .map(LoginAnswer::Challenge)
                .ok_or_else(factor_unavailable);
        }
        self.open_or_ask(origin, (&known).into(), methods, device)
            .await
    }

    /// The device that this token was given to, if the account has been used on it since its last change of password.
    pub(super) fn known_device(
        &self,
        known: Option<&Credentials>,
        token: Option<&str>,
    ) -> Option<KnownDevice> {
        let (known, token) = known.zip(token)?;
        self.devices.recognise(
            token,
            known.id,
            known.password_changed_at,
            self.stores.clock.now(),
        )
    }

    /// Whether it is the account's password; one kept under other parameters is hashed anew.
    pub(super) async fn is_password_of(
        &self,
        known: Option<&Credentials>,
        password: Password,
        attempt: &Attempt,
    ) -> Result<bool> {
        match self
            .hasher
            .verify_stored(
                password.clone(),
                known.and_then(Credentials::stored_password),
            )
            .await
        {
            Ok(Verified::No) => Ok(false),
            Ok(Verified::Yes) => Ok(true),
            Ok(Verified::YesOutdated) => {
                if let Some(known) = known {
                    self.hash_anew(known, password).await?;
                }
                Ok(true)
            }
            // Whoever asks is not told that there is such an account; whoever reads the log is.
            Err(HashFailure::Unreadable) => {
                tracing::error!(user = ?known.map(|known| known.id), "a stored password hash cannot be read");
                Ok(false)
            }
            Err(error) => {
                self.throttle.undecided(attempt).await;
                Err(error.into())
            }
        }
    }

    /// Keeps the password under the parameters in force; where there is no room for that now, the next login will.
    async fn hash_anew(&self, known: &Credentials, password: Password) -> Result<()> {
        let hash = match self.hasher.hash(password).await {
            Err(HashFailure::Busy) => return Ok(()),
            hashed => hashed?,
        };
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        if users::replace_password_hash(&mut unit, known, &hash).await? {
            unit.audit(
                Action::PasswordRehashed,
                Target::User(known.id),
                Outcome::Success,
            )
            .await?;
        }
        unit.commit().await
    }

    /// Whoever knows the password learns why he may not come in.
    pub(super) async fn admit(&self, origin: &Origin, known: &Credentials) -> Result<()> {
        let (code, detail) = match known.status {
            UserStatus::Active | UserStatus::Deleting if known.recovery_is_pending => (
                ErrorCode::RecoveryPending,
                "The account is being recovered; open the link in the mail to choose a password.",
            ),
            UserStatus::Active | UserStatus::Deleting if known.email_verified => return Ok(()),
            UserStatus::Active | UserStatus::Deleting => (
                ErrorCode::EmailNotVerified,
                "The e-mail address is not verified yet; open the link in the mail.",
            ),
            UserStatus::Suspended | UserStatus::Deleted => {
                (ErrorCode::AccountSuspended, "The account is suspended.")
            }
        };
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let details = json!({ "reason": code.as_str() });
        unit.audit_with(
            Action::SessionRefused,
            Target::User(known.id),
            Outcome::Refused,
            details,
        )
        .await?;
        unit.commit().await?;
        Err(Error::Forbidden {
            code,
            detail: detail.to_owned(),
        })
    }

    /// Records a login that was refused because of the password.
    pub(super) async fn refuse_login(
        &self,
        origin: &Origin,
        user: Option<UserId>,
        attempt: &Attempt,
    ) -> Result<()> {
        self.record_wrong_password(
            origin,
            Action::SessionRefused,
            user,
            "invalid_credentials",
            attempt,
        )
        .await
    }

    /// Counts a wrong password, audits the refusal of `action`, and notifies the owner after many.
    pub(super) async fn record_wrong_password(
        &self,
        origin: &Origin,
        action: Action,
        user: Option<UserId>,
        reason: &str,
        attempt: &Attempt,
    ) -> Result<()> {
        let failures = self.throttle.failed(attempt).await;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let target = user.map_or(Target::None, Target::User);
        unit.audit_with(
            action,
            target,
            Outcome::Refused,
            json!({ "reason": reason }),
        )
        .await?;
        if let Some((user_id, failures)) = user.zip(failures) {
            unit.enqueue(&SendSecurityNotice {
                user_id,
                notice: SecurityNotice::LoginsFailed { failures },
            })
            .await?;
        }
        unit.commit().await
    }
}

fn wrong_credentials() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::InvalidCredentials,
        detail: "The e-mail address or the password is wrong.",
    }
}
