//! The worker's side of a registration: it finds out whether the address has an account, and mints the token immediately
//! before the mail is sent, so that none is stored readable.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::RegistrationId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_platform::crypto::OpaqueToken;
use serde_json::json;

use super::super::mailed_token::{Asked, QUIET};
use super::repository::{self, NewToken, Pending};
use crate::unit::Unit;
use crate::{Error, Result, Stores, users};

/// The period of the bounds below.
const MAIL_PERIOD: Duration = Duration::from_hours(1);
/// Mails that registrations from one network cause to one address.
const MAX_MAILS_BY_NETWORK: i64 = 3;
/// Mails that all registrations cause to one address. Only requests from several networks reach it, so that one
/// network cannot keep the owner's own mail away.
const MAX_MAILS: i64 = 12;
/// The same where the registration comes from a network that has caused none: few networks cannot keep the owner's mail away.
const MAX_MAILS_WITH_NEW_NETWORK: i64 = 48;

/// A mail that proves an address. It contains no text that the registration gave.
#[derive(Debug)]
pub struct VerificationMail {
    pub to: String,
    pub token: OpaqueToken,
    /// How long the token is valid.
    pub valid: Duration,
    /// The registration or the account that it is for.
    pub target: Target,
}

/// Prepares the mails that prove addresses.
#[derive(Clone)]
pub struct Verification {
    pub(super) stores: Stores,
    pub(super) lifetime: Duration,
}

impl Verification {
    pub fn new(stores: &Stores, lifetime: Duration) -> Self {
        Self {
            stores: stores.clone(),
            lifetime,
        }
    }

    /// Mints a token for the registration. Returns `None` if the registration is gone, if the address has an account
    /// (its owner gets a notice), or if too many mails went to the address.
    ///
    /// A registration is never answered with the link of another one: their bounds are counted together, their tokens
    /// are their own.
    pub async fn prepare(
        &self,
        id: RegistrationId,
        asked: Asked,
    ) -> Result<Option<VerificationMail>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let Some(pending) = repository::find(&mut *unit.connection(), id).await? else {
            return Ok(None);
        };
        repository::lock_address(unit.connection(), &pending.email_key).await?;
        let Some(pending) = repository::find(&mut *unit.connection(), id).await? else {
            return Ok(None);
        };
        let email = Email::parse(&pending.email).map_err(Error::internal)?;
        let owner = users::owner_of(&mut unit, &email)
            .await?
            .filter(|owner| owner.email_verified);
        if let Some(owner) = owner {
            let details = json!({ "reason": "address_taken", "registration_id": id });
            unit.audit_with(
                Action::AccountRegistered,
                Target::User(owner.id),
                Outcome::Refused,
                details,
            )
            .await?;
            let notice = SecurityNotice::RegistrationAttempted;
            unit.enqueue(&SendSecurityNotice {
                user_id: owner.id,
                notice,
            })
            .await?;
            unit.commit().await?;
            return Ok(None);
        }
        if !may_mail(&mut unit, &pending, asked).await? {
            return Ok(None);
        }
        let token = OpaqueToken::generate();
        let new = NewToken {
            hash: token.hash(),
            registration: id,
            expires_at: unit.at() + self.lifetime,
            created_at: asked.at,
        };
        repository::insert_token(unit.connection(), &new).await?;
        unit.commit().await?;
        let target = Target::Registration(id);
        Ok(Some(VerificationMail {
            to: pending.email,
            token,
            valid: self.lifetime,
            target,
        }))
    }

    /// Records that the mail server has accepted the mail.
    pub async fn sent(&self, target: Target) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        unit.audit(Action::VerificationSent, target, Outcome::Success)
            .await?;
        unit.commit().await
    }
}

/// Returns whether another mail may go to the address of the registration. The caller holds the lock of the address.
async fn may_mail(unit: &mut Unit, pending: &Pending, asked: Asked) -> Result<bool> {
    let except = asked.again.then_some(asked.at);
    let mailed = repository::count_mails(
        unit.connection(),
        pending,
        asked.at - QUIET,
        asked.at - MAIL_PERIOD,
        except,
    )
    .await?;
    let most = if mailed.by_network == 0 {
        MAX_MAILS_WITH_NEW_NETWORK
    } else {
        MAX_MAILS
    };
    Ok(mailed.own == 0 && mailed.by_network < MAX_MAILS_BY_NETWORK && mailed.all < most)
}
