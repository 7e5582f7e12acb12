//! The proof of an address: a one-time token that is mailed and presented again.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::job::SendVerificationMail;
use plinth_domain::rejection::Rejection;
use plinth_platform::crypto::OpaqueToken;

use super::Auth;
use super::tokens::{self, Purpose};
use crate::unit::Unit;
use crate::{Error, Result, Stores, users};

/// What the mail needs to say.
#[derive(Debug)]
pub struct VerificationMail {
    pub to: String,
    pub display_name: Option<String>,
    pub token: OpaqueToken,
    /// How long the token is valid.
    pub valid: Duration,
}

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

    /// A fresh token for the account's address; `None` when there is nothing left to prove.
    pub async fn prepare(&self, user: UserId) -> Result<Option<VerificationMail>> {
        let Some(account) =
            users::find(&self.stores, user).await?.filter(|user| user.email_verified_at.is_none())
        else {
            return Ok(None);
        };
        let token = OpaqueToken::generate();
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let at = unit.at();
        let expires_at = at + self.lifetime;
        tokens::insert(unit.connection(), &token.hash(), user, Purpose::VerifyEmail, expires_at, at).await?;
        unit.commit().await?;
        Ok(Some(VerificationMail {
            to: account.email,
            display_name: account.display_name,
            token,
            valid: self.lifetime,
        }))
    }

    /// Notes that the mail server has taken the mail.
    pub async fn sent(&self, user: UserId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(Action::VerificationSent, Target::User(user), Outcome::Success).await?;
        unit.commit().await
    }
}

impl Auth {
    /// Takes a mailed token as the proof that its account's address is its owner's.
    pub async fn verify_email(&self, origin: &Origin, token: &str) -> Result<()> {
        let token = OpaqueToken::parse(token).ok_or_else(unknown_token)?;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        let redeemed = tokens::redeem(unit.connection(), &token.hash(), Purpose::VerifyEmail, at).await?;
        let user = redeemed.ok_or_else(unknown_token)?;
        unit.act_as(user);
        users::mark_email_verified(&mut unit, user).await?;
        unit.audit(Action::EmailVerified, Target::User(user), Outcome::Success).await?;
        unit.commit().await
    }

    /// Sends the mail again. The answer is the same whether or not the address has an account that waits for it.
    pub async fn resend_verification(&self, origin: &Origin, email: &Email) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        if let Some(known) = users::owner_of(&mut unit, email).await?.filter(|known| !known.email_verified) {
            unit.audit(Action::VerificationRequested, Target::User(known.id), Outcome::Success).await?;
            unit.enqueue(&SendVerificationMail { user_id: known.id }).await?;
        }
        unit.commit().await
    }
}

fn unknown_token() -> Error {
    let detail = "The token is unknown, used or expired; ask for another mail.";
    Error::invalid("/token", Rejection::new("invalid_token", detail))
}
