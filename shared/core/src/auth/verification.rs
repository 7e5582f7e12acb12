//! The proof of an address: a one-time token that is mailed and presented again.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::job::ResendVerificationMail;
use plinth_domain::user::{User, UserStatus};

use super::Auth;
use super::mailed_token::{self, Asked, MailedToken, Wanted, unknown_token};
use super::tokens::{self, Purpose};
use crate::unit::Unit;
use crate::{Result, Stores, users};

/// The worker's side: it mints the token right before the mail is sent, so that none rests in the ledger.
#[derive(Clone)]
pub struct Verification {
    stores: Stores,
    lifetime: Duration,
}

impl Verification {
    pub fn new(stores: &Stores, lifetime: Duration) -> Self {
        Self { stores: stores.clone(), lifetime }
    }

    /// A token for the address of a new account; `None` when there is nothing left to prove.
    pub async fn prepare(&self, user: UserId) -> Result<Option<MailedToken>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let Some(account) = users::find_locked(&mut unit, user).await?.filter(waits_for_proof) else {
            return Ok(None);
        };
        let at = unit.at();
        let token = mailed_token::mint(&mut unit, &self.wanted(user), at).await?;
        unit.commit().await?;
        Ok(Some(MailedToken::to(account, token, self.lifetime)))
    }

    /// Another token for whoever has this address; `None` when nobody waits for one, or had one a moment ago.
    pub async fn prepare_again(&self, email: &Email, asked: Asked) -> Result<Option<MailedToken>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let Some(account) = users::hold_by_email(&mut unit, email).await?.filter(waits_for_proof) else {
            return Ok(None);
        };
        let token = mailed_token::mint_sparingly(&mut unit, &self.wanted(account.id), asked).await?;
        unit.commit().await?;
        Ok(token.map(|token| MailedToken::to(account, token, self.lifetime)))
    }

    fn wanted(&self, user: UserId) -> Wanted<'static> {
        Wanted { user, purpose: Purpose::VerifyEmail, email: None, valid: self.lifetime }
    }

    /// Notes that the mail server has taken the mail.
    pub async fn sent(&self, user: UserId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(Action::VerificationSent, Target::User(user), Outcome::Success).await?;
        unit.commit().await
    }
}

fn waits_for_proof(user: &User) -> bool {
    user.status == UserStatus::Active && user.email_verified_at.is_none()
}

impl Auth {
    /// Takes a mailed token as the proof that its account's address is its owner's.
    pub async fn verify_email(&self, origin: &Origin, token: &str) -> Result<()> {
        let (token, user) = self.mailed_token(token, Purpose::VerifyEmail).await?;
        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        users::find_locked(&mut unit, user).await?.ok_or_else(unknown_token)?;
        let at = unit.at();
        let redeemed = tokens::redeem(unit.connection(), &token.hash(), Purpose::VerifyEmail, at).await?;
        redeemed.ok_or_else(unknown_token)?;
        users::mark_email_verified(&mut unit, user).await?;
        unit.audit(Action::EmailVerified, Target::User(user), Outcome::Success).await?;
        unit.commit().await
    }

    /// Asks for the mail again. Whether the address has an account that waits for it is found out by the worker, so
    /// that neither answer nor duration tells it.
    pub async fn resend_verification(&self, origin: &Origin, email: &Email) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        unit.audit(Action::VerificationRequested, Target::None, Outcome::Success).await?;
        unit.enqueue(&ResendVerificationMail { email: email.as_str().to_owned() }).await?;
        unit.commit().await
    }
}
