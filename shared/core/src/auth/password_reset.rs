//! A forgotten password: whoever can read the account's mail chooses another one.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::job::{SendPasswordResetMail, SendSecurityNotice};
use plinth_domain::notice::SecurityNotice;
use plinth_domain::password::Password;
use plinth_domain::purpose::TokenPurpose;
use plinth_domain::user::{User, UserStatus};
use plinth_platform::crypto::{HashFailure, Verified};

use super::mailed_token::{self, Asked, MailedToken, Wanted, unknown_token};
use super::password_change::password_unchanged;
use super::tokens::{self, KeptResets};
use super::{Auth, recovery};
use crate::second_factors::RemainingFactor;
use crate::unit::Unit;
use crate::{Error, Result, Stores, users};

/// A password that was reset.
#[derive(Debug)]
pub struct PasswordReset {
    /// By which the owner's device is known from now on.
    pub device_token: String,
    /// The second factors that the account still has.
    pub remaining_factors: Vec<RemainingFactor>,
}

/// The worker's side: it finds out who is meant, and mints the token right before the mail is sent.
#[derive(Clone)]
pub struct PasswordResets {
    stores: Stores,
    lifetime: Duration,
}

impl PasswordResets {
    pub fn new(stores: &Stores, lifetime: Duration) -> Self {
        Self {
            stores: stores.clone(),
            lifetime,
        }
    }

    /// A token for whoever has this address; `None` when no active account has it, or when one was mailed a moment
    /// ago.
    pub async fn prepare(&self, email: &Email, asked: Asked) -> Result<Option<MailedToken>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let account = users::hold_by_email(&mut unit, email).await?;
        let Some(account) = account.filter(may_reset) else {
            return Ok(None);
        };
        let (user, purpose) = (account.id, TokenPurpose::ResetPassword);
        let wanted = Wanted {
            user,
            purpose,
            email: Some(email.key()),
            valid: self.lifetime,
        };
        let token = mailed_token::mint_sparingly(&mut unit, &wanted, asked).await?;
        unit.commit().await?;
        Ok(token.map(|token| MailedToken::to(account, token, self.lifetime)))
    }

    /// Notes that the mail server has taken the mail.
    pub async fn sent(&self, user: UserId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(
            Action::PasswordResetSent,
            Target::User(user),
            Outcome::Success,
        )
        .await?;
        unit.commit().await
    }
}

/// An intruder may have deleted the account: its owner can reset the password before restoring it.
fn may_reset(account: &User) -> bool {
    matches!(account.status, UserStatus::Active | UserStatus::Deleting)
}

impl Auth {
    /// Asks for the mail. Whether the address has an account is found out by the worker, so that neither answer nor
    /// duration tells it.
    pub async fn forget_password(&self, origin: &Origin, email: &Email) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        unit.audit(
            Action::PasswordResetRequested,
            Target::None,
            Outcome::Success,
        )
        .await?;
        unit.enqueue(&SendPasswordResetMail {
            email: email.as_str().to_owned(),
        })
        .await?;
        unit.commit().await
    }

    /// Sets another password for the holder of a mailed token and ends the access of everybody else: see [`recovery`].
    /// Second factors of the recovery window are not trusted. No session is opened. Refused for an unverified account whose
    /// address another account can take back.
    pub async fn reset_password(
        &self,
        origin: &Origin,
        token: &str,
        password: Password,
    ) -> Result<PasswordReset> {
        let (token, user) = self
            .mailed_token(token, TokenPurpose::ResetPassword)
            .await?;
        let account = users::find(&self.stores, user)
            .await?
            .ok_or_else(unknown_token)?;
        // A password that is refused leaves the token as it was.
        self.judge("/password", &password, &account.email)?;
        self.require_other_password(user, &password).await?;
        let hash = self.hasher.hash(password).await?;

        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        let at = unit.at();
        let account = users::find_locked(&mut unit, user).await?;
        let account = account.filter(may_reset).ok_or_else(unknown_token)?;
        let email = Email::parse_known(&account.email).map_err(Error::internal)?;
        let redeemed = tokens::redeem(
            unit.connection(),
            &token.hash(),
            TokenPurpose::ResetPassword,
            at,
        )
        .await?;
        let redeemed = redeemed.ok_or_else(unknown_token)?;
        // It works for the address that it was mailed to.
        if redeemed
            .email
            .is_some_and(|mailed_to| mailed_to != email.key())
        {
            return Err(unknown_token());
        }
        let trusted_before = self.trusted_before(at);
        let pending_from = users::recovery_from(&mut unit, user).await?;
        users::set_password(&mut unit, user, Some(&hash), trusted_before).await?;
        unit.audit(Action::PasswordReset, Target::User(user), Outcome::Success)
            .await?;
        // Whoever reads the mail has proved the mailbox.
        if users::mark_email_verified(&mut unit, &account).await? {
            unit.audit(Action::EmailVerified, Target::User(user), Outcome::Success)
                .await?;
        }
        recovery::end_access(&mut unit, user, KeptResets::None, trusted_before).await?;
        let since = pending_from.map_or(trusted_before, |from| from.min(trusted_before));
        recovery::distrust_added_since(&mut unit, user, since).await?;
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice: SecurityNotice::PasswordReset,
        })
        .await?;
        let remaining_factors = recovery::remaining(&mut unit, user).await?;
        unit.commit().await?;
        Ok(PasswordReset {
            device_token: self.device_after_change(user, None, at),
            remaining_factors,
        })
    }

    /// Refuses the password that the account has, and those that it had in the recovery window: an intruder may know them.
    async fn require_other_password(&self, user: UserId, password: &Password) -> Result<()> {
        let since = self.trusted_before(self.stores.clock.now());
        for hash in users::refused_hashes(&self.stores, user, since).await? {
            match self.hasher.verify(password.clone(), Some(hash)).await {
                Ok(Verified::No) | Err(HashFailure::Unreadable) => {}
                Ok(Verified::Yes | Verified::YesOutdated) => {
                    return Err(password_unchanged("/password"));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }
}
