//! The own password: changed by who knows the old one, or taken away by who has a passkey.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{SessionId, UserId};
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::password::Password;
use plinth_domain::purpose::ChallengePurpose;
use plinth_domain::rejection::Rejection;
use time::{Duration, OffsetDateTime};

use super::devices::KnownDevice;
use super::throttle::Attempt;
use super::tokens::{self, KeptResets};
use super::{Auth, SessionCaller, revocation};
use crate::challenges::{self};
use crate::unit::Unit;
use crate::users::{self, Credentials};
use crate::{Error, Result, api_keys, passkeys};

/// What somebody who changes his password gives.
#[derive(Debug)]
pub struct PasswordChange {
    /// Needed where the account has one.
    pub current: Option<Password>,
    pub new: Password,
    pub revoke_api_keys: bool,
    /// What an earlier login on this device was given.
    pub device_token: Option<String>,
}

impl Auth {
    /// Changes the caller's password and ends every other session. Returns the token by which this device is known from
    /// now on.
    pub async fn change_password(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        change: PasswordChange,
    ) -> Result<String> {
        let (user, stays) = (&*caller.user, caller.session());
        let known = users::credentials_of(&self.stores, user.id)
            .await?
            .ok_or(Error::NotFound)?;
        let device = self.known_device(Some(&known), change.device_token.as_deref());
        if known.password_hash.is_some() {
            let is_unchanged = change
                .current
                .as_ref()
                .is_some_and(|current| current.is(&change.new));
            self.check_current(origin, &known, stays, change.current)
                .await?;
            if is_unchanged {
                return Err(password_unchanged("/new_password"));
            }
        }
        self.judge("/new_password", &change.new, &user.email)?;
        let hash = self.hasher.hash(change.new).await?;

        let mut unit = caller
            .begin_with_password(&self.stores, origin, known.password_changed_at)
            .await?;
        let at = unit.at();
        users::set_password(&mut unit, user.id, Some(&hash), self.trusted_before(at)).await?;
        unit.audit(
            Action::PasswordChanged,
            Target::User(user.id),
            Outcome::Success,
        )
        .await?;
        self.end_what_it_opened(&mut unit, user.id, stays).await?;
        if change.revoke_api_keys {
            api_keys::revoke_all_of(&mut unit, user.id).await?;
        }
        let notice = SecurityNotice::PasswordChanged;
        unit.enqueue(&SendSecurityNotice {
            user_id: user.id,
            notice,
        })
        .await?;
        unit.commit().await?;
        Ok(self.device_after_change(user.id, device, at))
    }

    /// Takes the password away: from now on only passkeys log in. Refused where there is none.
    pub async fn remove_password(&self, origin: &Origin, caller: SessionCaller<'_>) -> Result<()> {
        let (user, stays) = (caller.user_id(), caller.session());
        let mut unit = caller.begin(&self.stores, origin).await?;
        if !passkeys::has_any(&mut unit, user).await? {
            let detail =
                "The account has no passkey, and nobody could log in without one; add one first.";
            return Err(Error::Conflict {
                code: ErrorCode::NoOtherCredential,
                detail: detail.to_owned(),
            });
        }
        let kept_since = self.trusted_before(unit.at());
        users::set_password(&mut unit, user, None, kept_since).await?;
        unit.audit(
            Action::PasswordRemoved,
            Target::User(user),
            Outcome::Success,
        )
        .await?;
        self.end_what_it_opened(&mut unit, user, stays).await?;
        let notice = SecurityNotice::PasswordRemoved;
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice,
        })
        .await?;
        unit.commit().await
    }

    async fn check_current(
        &self,
        origin: &Origin,
        known: &Credentials,
        session: SessionId,
        current: Option<Password>,
    ) -> Result<()> {
        let pointer = "/current_password";
        let current = current.ok_or_else(|| {
            Error::invalid(
                pointer,
                Rejection::new("missing", "The account has a password; give it."),
            )
        })?;
        // Whoever is here has logged in: guesses of strangers at the login do not slow him down.
        let attempt = Attempt::in_session(session);
        self.throttle.begin(&attempt).await?;
        if self.is_password_of(Some(known), current, &attempt).await? {
            self.throttle.succeeded(&attempt).await;
            return Ok(());
        }
        self.record_wrong_password(
            origin,
            Action::PasswordChanged,
            Some(known.id),
            WRONG_PASSWORD,
            &attempt,
        )
        .await?;
        Err(Error::invalid(
            pointer,
            Rejection::new(WRONG_PASSWORD, "This is not the account's password."),
        ))
    }

    async fn end_what_it_opened(
        &self,
        unit: &mut Unit,
        user: UserId,
        stays: SessionId,
    ) -> Result<()> {
        // Whoever reads the mailbox can still choose another password: the session may be an intruder's.
        tokens::void(unit.connection(), user, KeptResets::All).await?;
        // The old address undoes a change of address against whoever is in this session.
        challenges::remove_all_of(unit, user, Some(ChallengePurpose::UndoEmailChange)).await?;
        revocation::end_sessions(unit, user, Some(stays))
            .await
            .map(drop)
    }

    /// A new password: `pointer` names it where it is refused.
    pub(super) fn judge(&self, pointer: &str, password: &Password, email: &str) -> Result<()> {
        let email = Email::parse_known(email).map_err(Error::internal)?;
        self.policy
            .judge(password, &email)
            .map_err(|rejection| Error::invalid(pointer, rejection))
    }

    /// A token for a device, in force although the password was changed `at` this moment.
    pub(super) fn device_after_change(
        &self,
        user: UserId,
        device: Option<KnownDevice>,
        at: OffsetDateTime,
    ) -> String {
        // It tells whole seconds, and must be later than the change.
        let multi_factor = device.is_some_and(|device| device.multi_factor);
        self.devices.issue(
            user,
            device.map(|device| device.id),
            multi_factor,
            at + Duration::SECOND,
        )
    }
}

/// The code of the rejection of a password that is not the account's.
pub(super) const WRONG_PASSWORD: &str = "wrong_password";

pub(super) fn password_unchanged(pointer: &str) -> Error {
    let detail = "The account has, or had, this password; choose another one.";
    Error::invalid(pointer, Rejection::new("password_unchanged", detail))
}
