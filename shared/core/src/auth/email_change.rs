//! Another address for an account, proved at the new one.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::job::{SendEmailChangeMail, SendSecurityNotice};
use plinth_domain::notice::SecurityNotice;
use plinth_domain::password::Password;
use plinth_domain::purpose::TokenPurpose;
use plinth_domain::rejection::Rejection;
use plinth_domain::user::{User, UserStatus};
use time::OffsetDateTime;

use super::mailed_token::{self, Asked, MailedToken, Wanted, unknown_token};
use super::password_change::WRONG_PASSWORD;
use super::throttle::Attempt;
use super::tokens::{self, KeptResets};
use super::{Auth, SessionCaller};
use crate::unit::Unit;
use crate::{Error, Result, Stores, users};

/// The worker's side: it looks whether the address is free, and mints the token right before the mail is sent.
#[derive(Clone)]
pub struct EmailChanges {
    stores: Stores,
    lifetime: Duration,
}

impl EmailChanges {
    pub fn new(stores: &Stores, lifetime: Duration) -> Self {
        Self {
            stores: stores.clone(),
            lifetime,
        }
    }

    /// A token for the account's new address; `None` when somebody else has it, when too much was mailed already, or when
    /// the account has got another password or address since it was asked for: that voids what is under way.
    pub async fn prepare(
        &self,
        user: UserId,
        email: &Email,
        asked: Asked,
    ) -> Result<Option<MailedToken>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let account = users::find_locked(&mut unit, user).await?;
        let Some(account) = account.filter(|account| account.status == UserStatus::Active) else {
            return Ok(None);
        };
        if users::has_changed_since(&mut unit, user, asked.at).await?
            || users::recovery_from(&mut unit, user).await?.is_some()
        {
            return Ok(None);
        }
        let owner = users::owner_of(&mut unit, email).await?;
        if owner.is_some_and(|owner| owner.id != user && owner.email_verified)
            || account.email == email.as_str()
            || users::address_is_reserved(&mut unit, email, Some(user)).await?
        {
            return Ok(None);
        }
        let wanted = Wanted {
            user,
            purpose: TokenPurpose::ChangeEmail,
            email: Some(email.as_str()),
            valid: self.lifetime,
        };
        if !mailed_token::may_write_to_strangers(&mut unit, &wanted, asked).await? {
            return Ok(None);
        }
        let token = mailed_token::mint_sparingly(&mut unit, &wanted, asked).await?;
        unit.commit().await?;
        let account = User {
            email: email.as_str().to_owned(),
            display_name: None,
            ..account
        };
        Ok(token.map(|token| MailedToken::to(account, token, self.lifetime)))
    }

    /// Notes that the mail server has taken the mail.
    pub async fn sent(&self, user: UserId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(
            Action::EmailChangeSent,
            Target::User(user),
            Outcome::Success,
        )
        .await?;
        unit.commit().await
    }
}

/// How the person who opens the link shows that they have the account. The link alone shows that they read the mail of an
/// address, which the owner of any account can ask for.
#[derive(Debug)]
pub enum AccountProof<'a> {
    Session(SessionCaller<'a>),
    Password(Password),
}

impl Auth {
    /// Asks for the mail to the new address. Whether it is free is found out by the worker, so that nobody learns
    /// who has an account.
    pub async fn request_email_change(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        email: &Email,
    ) -> Result<()> {
        let user = caller.user_id();
        let mut unit = caller.begin(&self.stores, origin).await?;
        unit.audit(
            Action::EmailChangeRequested,
            Target::User(user),
            Outcome::Success,
        )
        .await?;
        unit.enqueue(&SendEmailChangeMail {
            user_id: user,
            email: email.as_str().to_owned(),
        })
        .await?;
        unit.commit().await
    }

    /// Takes a mailed token as the proof that the new address is the account's owner's: from now on it is the
    /// account's. The old one is told, with a token that undoes it unless the new one could take the account back.
    ///
    /// A wrong password leaves the token valid.
    pub async fn confirm_email_change(
        &self,
        origin: &Origin,
        token: &str,
        proof: AccountProof<'_>,
    ) -> Result<()> {
        let (token, user) = self.mailed_token(token, TokenPurpose::ChangeEmail).await?;
        let unit = match proof {
            AccountProof::Session(caller) if caller.user_id() == user => {
                caller.begin(&self.stores, origin).await?
            }
            AccountProof::Session(_) => return Err(other_account()),
            AccountProof::Password(password) => {
                self.begin_by_password(origin, user, password).await?
            }
        };
        let Redeemed {
            mut unit,
            account,
            email,
            ..
        } = self
            .redeem_for_address(unit, user, &token.hash(), TokenPurpose::ChangeEmail)
            .await?;
        if account.status != UserStatus::Active
            || users::recovery_from(&mut unit, account.id).await?.is_some()
        {
            return Err(unknown_token());
        }
        users::set_email(&mut unit, account.id, &email).await?;
        unit.audit(
            Action::EmailChanged,
            Target::User(account.id),
            Outcome::Success,
        )
        .await?;
        let old = Email::parse_known(&account.email).map_err(Error::internal)?;
        self.settle_undos(&mut unit, account.id, &old, &email)
            .await?;
        // A link to choose another password stays: it works for the address that it was mailed to, which an undo may bring
        // back.
        tokens::void(unit.connection(), account.id, KeptResets::All).await?;
        let notice = SecurityNotice::EmailChanged {
            old_email: account.email,
        };
        unit.enqueue(&SendSecurityNotice {
            user_id: account.id,
            notice,
        })
        .await?;
        unit.commit().await
    }

    /// Opens a change of the account for a person who knows its password, and locks it.
    async fn begin_by_password(
        &self,
        origin: &Origin,
        user: UserId,
        password: Password,
    ) -> Result<Unit> {
        let account = users::find(&self.stores, user)
            .await?
            .ok_or_else(unknown_token)?;
        let email = Email::parse_known(&account.email).map_err(Error::internal)?;
        let known = users::credentials_of(&self.stores, user)
            .await?
            .ok_or_else(unknown_token)?;
        // A guess here counts as one at the login.
        let attempt = Attempt::password(origin.ip, Some(&email), None);
        self.throttle.begin(&attempt).await?;
        if !self
            .is_password_of(Some(&known), password, &attempt)
            .await?
        {
            self.record_wrong_password(
                origin,
                Action::EmailChanged,
                Some(user),
                WRONG_PASSWORD,
                &attempt,
            )
            .await?;
            let detail = "This is not the password of the account that asked for the change.";
            return Err(Error::invalid(
                "/password",
                Rejection::new(WRONG_PASSWORD, detail),
            ));
        }
        self.throttle.succeeded(&attempt).await;
        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        users::lock(&mut unit, &[user]).await?;
        if !users::hold_unchanged(&mut unit, user, known.password_changed_at).await? {
            return Err(unknown_token());
        }
        Ok(unit)
    }

    /// Opens the undo of a change from `old` to `new`.
    ///
    /// A change to an address that can still take the account back is the undo of every change since: the addresses that the
    /// account had meanwhile may be an intruder's, and none of them can take it back.
    async fn settle_undos(
        &self,
        unit: &mut Unit,
        user: UserId,
        old: &Email,
        new: &Email,
    ) -> Result<()> {
        let expires_at = unit.at() + self.lifetimes.email_undo;
        let Some(since) = users::email_undo_open_since(unit, user, new).await? else {
            return users::open_email_undo(unit, user, old, expires_at).await;
        };
        users::close_email_undos(unit, user, new, since).await?;
        tokens::void_undos_since(unit.connection(), user, since).await?;
        users::refuse_email_undo(unit, user, old, expires_at).await
    }

    /// Uses up a token that is about an address. The caller holds the account.
    pub(super) async fn redeem_for_address(
        &self,
        mut unit: Unit,
        user: UserId,
        hash: &[u8; 32],
        purpose: TokenPurpose,
    ) -> Result<Redeemed> {
        let account = users::find_locked(&mut unit, user)
            .await?
            .ok_or_else(unknown_token)?;
        let at = unit.at();
        let redeemed = tokens::redeem(unit.connection(), hash, purpose, at).await?;
        let redeemed = redeemed.ok_or_else(unknown_token)?;
        let email = redeemed
            .email
            .ok_or_else(|| Error::internal("a token about an address has none"))?;
        let email = Email::parse_known(&email).map_err(Error::internal)?;
        Ok(Redeemed {
            unit,
            account,
            email,
            asked_at: redeemed.created_at,
        })
    }
}

fn other_account() -> Error {
    let detail = "Another account asked for this change: log in to that one, or give its password. If you did not ask for \
                  it, ignore the mail.";
    Error::Forbidden {
        code: ErrorCode::OtherAccount,
        detail: detail.to_owned(),
    }
}

/// A token about an address that was used up, in a change by the account's owner.
pub(super) struct Redeemed {
    pub(super) unit: Unit,
    pub(super) account: User,
    pub(super) email: Email,
    /// When the token was asked for.
    pub(super) asked_at: OffsetDateTime,
}
