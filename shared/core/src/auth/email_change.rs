//! Another address for an account: proved at the new one, and for some days undone from the old one.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use plinth_domain::job::{SendEmailChangeMail, SendPasswordResetMail, SendSecurityNotice};
use plinth_domain::notice::SecurityNotice;
use plinth_domain::user::{User, UserStatus};
use plinth_platform::crypto::OpaqueToken;
use time::OffsetDateTime;

use super::mailed_token::{self, Asked, MailedToken, Wanted, unknown_token};
use super::tokens::{self, Purpose};
use super::{Auth, revocation};
use crate::unit::Unit;
use crate::{Error, Result, Stores, api_keys, challenges, passkeys, second_factors, users};

/// The worker's side: it looks whether the address is free, and mints the token right before the mail is sent.
#[derive(Clone)]
pub struct EmailChanges {
    stores: Stores,
    lifetime: Duration,
}

impl EmailChanges {
    pub fn new(stores: &Stores, lifetime: Duration) -> Self {
        Self { stores: stores.clone(), lifetime }
    }

    /// A token for the account's new address; `None` when somebody else has it, when too much was mailed already, or when
    /// the account has got another password or address since it was asked for: that voids what is under way.
    pub async fn prepare(&self, user: UserId, email: &Email, asked: Asked) -> Result<Option<MailedToken>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let account = users::find_locked(&mut unit, user).await?;
        let Some(account) = account.filter(|account| account.status == UserStatus::Active) else {
            return Ok(None);
        };
        if users::has_changed_since(&mut unit, user, asked.at).await? {
            return Ok(None);
        }
        let owner = users::owner_of(&mut unit, email).await?;
        if owner.is_some_and(|owner| owner.id != user && owner.email_verified)
            || account.email == email.as_str()
        {
            return Ok(None);
        }
        let wanted =
            Wanted { user, purpose: Purpose::ChangeEmail, email: Some(email.as_str()), valid: self.lifetime };
        if !mailed_token::may_write_to_strangers(&mut unit, &wanted, asked).await? {
            return Ok(None);
        }
        let token = mailed_token::mint_sparingly(&mut unit, &wanted, asked).await?;
        unit.commit().await?;
        let account = User { email: email.as_str().to_owned(), display_name: None, ..account };
        Ok(token.map(|token| MailedToken::to(account, token, self.lifetime)))
    }

    /// Notes that the mail server has taken the mail.
    pub async fn sent(&self, user: UserId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(Action::EmailChangeSent, Target::User(user), Outcome::Success).await?;
        unit.commit().await
    }
}

impl Auth {
    /// Asks for the mail to the new address. Whether it is free is found out by the worker, so that nobody learns
    /// who has an account.
    pub async fn request_email_change(&self, origin: &Origin, user: UserId, email: &Email) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        unit.audit(Action::EmailChangeRequested, Target::User(user), Outcome::Success).await?;
        unit.enqueue(&SendEmailChangeMail { user_id: user, email: email.as_str().to_owned() }).await?;
        unit.commit().await
    }

    /// Takes a mailed token as the proof that the new address is the account's owner's: from now on it is the
    /// account's. The old one is told, with a token that undoes it.
    pub async fn confirm_email_change(&self, origin: &Origin, token: &str) -> Result<()> {
        let Redeemed { mut unit, account, email, .. } =
            self.redeem_for_address(origin, token, Purpose::ChangeEmail).await?;
        if account.status != UserStatus::Active {
            return Err(unknown_token());
        }
        users::set_email(&mut unit, account.id, &email).await?;
        unit.audit(Action::EmailChanged, Target::User(account.id), Outcome::Success).await?;
        // What was mailed to the old address has lost its meaning.
        tokens::void(unit.connection(), account.id).await?;
        let notice = SecurityNotice::EmailChanged { old_email: account.email };
        unit.enqueue(&SendSecurityNotice { user_id: account.id, notice }).await?;
        unit.commit().await
    }

    /// Gives the account back the address that it had. Whoever changed it is thrown out, with everything that he has
    /// added since to log in by. He may know the password: the mail to choose another one is on its way.
    pub async fn undo_email_change(&self, origin: &Origin, token: &str) -> Result<()> {
        let Redeemed { mut unit, account, email, asked_at } =
            self.redeem_for_address(origin, token, Purpose::UndoEmailChange).await?;
        users::set_email(&mut unit, account.id, &email).await?;
        unit.audit(Action::EmailChangeUndone, Target::User(account.id), Outcome::Success).await?;
        tokens::void(unit.connection(), account.id).await?;
        challenges::remove_all_of(&mut unit, account.id).await?;
        revocation::end_sessions(&mut unit, account.id, None).await?;
        api_keys::revoke_all_of(&mut unit, account.id).await?;
        // The link was asked for by the change itself.
        passkeys::remove_added_since(&mut unit, account.id, asked_at).await?;
        second_factors::remove_added_since(&mut unit, account.id, asked_at).await?;
        unit.enqueue(&SendPasswordResetMail { email: email.as_str().to_owned() }).await?;
        unit.commit().await
    }

    /// Uses up a token that is about an address.
    async fn redeem_for_address(&self, origin: &Origin, token: &str, purpose: Purpose) -> Result<Redeemed> {
        let (token, user): (OpaqueToken, UserId) = self.mailed_token(token, purpose).await?;
        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        let account = users::find_locked(&mut unit, user).await?.ok_or_else(unknown_token)?;
        let at = unit.at();
        let redeemed = tokens::redeem(unit.connection(), &token.hash(), purpose, at).await?;
        let redeemed = redeemed.ok_or_else(unknown_token)?;
        let email = redeemed.email.ok_or_else(|| Error::internal("a token about an address has none"))?;
        let email = Email::parse_known(&email).map_err(Error::internal)?;
        Ok(Redeemed { unit, account, email, asked_at: redeemed.created_at })
    }
}

/// A token about an address that was used up, in a change by the account's owner.
struct Redeemed {
    unit: Unit,
    account: User,
    email: Email,
    /// When the token was asked for.
    asked_at: OffsetDateTime,
}
