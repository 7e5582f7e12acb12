//! A forgotten password: whoever can read the account's mail chooses another one.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::job::{SendPasswordResetMail, SendSecurityNotice};
use plinth_domain::notice::SecurityNotice;
use plinth_domain::password::Password;
use plinth_domain::user::UserStatus;

use super::mailed_token::{self, Asked, MailedToken, Wanted, unknown_token};
use super::tokens::{self, Purpose};
use super::{Auth, revocation};
use crate::unit::Unit;
use crate::{Result, Stores, api_keys, challenges, files, users};

/// An intruder's doings are looked for this far back.
const RECOVERY_WINDOW: time::Duration = time::Duration::days(7);

/// The worker's side: it finds out who is meant, and mints the token right before the mail is sent.
#[derive(Clone)]
pub struct PasswordResets {
    stores: Stores,
    lifetime: Duration,
}

impl PasswordResets {
    pub fn new(stores: &Stores, lifetime: Duration) -> Self {
        Self { stores: stores.clone(), lifetime }
    }

    /// A token for whoever has this address; `None` when no active account has it, or when one was mailed a moment
    /// ago.
    pub async fn prepare(&self, email: &Email, asked: Asked) -> Result<Option<MailedToken>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let account = users::hold_by_email(&mut unit, email).await?;
        let Some(account) = account.filter(|account| account.status == UserStatus::Active) else {
            return Ok(None);
        };
        let wanted =
            Wanted { user: account.id, purpose: Purpose::ResetPassword, email: None, valid: self.lifetime };
        let token = mailed_token::mint_sparingly(&mut unit, &wanted, asked).await?;
        unit.commit().await?;
        Ok(token.map(|token| MailedToken::to(account, token, self.lifetime)))
    }

    /// Notes that the mail server has taken the mail.
    pub async fn sent(&self, user: UserId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(Action::PasswordResetSent, Target::User(user), Outcome::Success).await?;
        unit.commit().await
    }
}

impl Auth {
    /// Asks for the mail. Whether the address has an account is found out by the worker, so that neither answer nor
    /// duration tells it.
    pub async fn forget_password(&self, origin: &Origin, email: &Email) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        unit.audit(Action::PasswordResetRequested, Target::None, Outcome::Success).await?;
        unit.enqueue(&SendPasswordResetMail { email: email.as_str().to_owned() }).await?;
        unit.commit().await
    }

    /// Sets another password for whoever holds a mailed token, and ends everything that the old one had opened:
    /// sessions, API keys, other tokens. Gives the token by which his device is known from now on; a session he opens
    /// by logging in, with his second factor if he has one.
    pub async fn reset_password(&self, origin: &Origin, token: &str, password: Password) -> Result<String> {
        let (token, user) = self.mailed_token(token, Purpose::ResetPassword).await?;
        let account = users::find(&self.stores, user).await?.ok_or_else(unknown_token)?;
        // A password that is refused leaves the token as it was.
        self.judge("/password", &password, &account.email)?;
        let hash = self.hasher.hash(password).await?;

        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        let at = unit.at();
        let account = users::find_locked(&mut unit, user).await?;
        account.filter(|account| account.status == UserStatus::Active).ok_or_else(unknown_token)?;
        let redeemed = tokens::redeem(unit.connection(), &token.hash(), Purpose::ResetPassword, at).await?;
        redeemed.ok_or_else(unknown_token)?;
        users::set_password(&mut unit, user, Some(&hash)).await?;
        unit.audit(Action::PasswordReset, Target::User(user), Outcome::Success).await?;
        // Whoever reads the mail has proved the mailbox.
        if users::mark_email_verified(&mut unit, user).await? {
            unit.audit(Action::EmailVerified, Target::User(user), Outcome::Success).await?;
        }
        tokens::void(unit.connection(), user).await?;
        challenges::remove_all_of(&mut unit, user).await?;
        revocation::end_sessions(&mut unit, user, None).await?;
        api_keys::revoke_all_of(&mut unit, user).await?;
        files::end_links_made_by_ended(&mut unit, user, at - RECOVERY_WINDOW).await?;
        unit.enqueue(&SendSecurityNotice { user_id: user, notice: SecurityNotice::PasswordReset }).await?;
        unit.commit().await?;
        Ok(self.device_after_change(user, None, at))
    }
}
