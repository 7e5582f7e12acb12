//! The proof of a registration: its mailed token together with its password creates the account.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::password::Password;
use plinth_domain::rejection::Rejection;
use plinth_domain::text::DisplayName;
use plinth_platform::crypto::{OpaqueToken, Verified};
use serde_json::json;

use super::super::Auth;
use super::super::mailed_token::unknown_token;
use super::super::throttle::Attempt;
use super::repository::{self, Pending};
use super::takeover;
use crate::unit::Unit;
use crate::users::{self, Creation, NewAccount};
use crate::{Error, Result};

/// Wrong passwords after which a registration ends.
const MAX_FAILURES: i16 = 10;

impl Auth {
    /// Creates the account of the registration that the token was mailed for. A wrong password leaves the token valid.
    pub async fn verify_email(
        &self,
        origin: &Origin,
        token: &str,
        password: Password,
    ) -> Result<()> {
        let token = OpaqueToken::parse(token).ok_or_else(unknown_token)?;
        let now = self.stores.clock.now();
        let Some(pending) = repository::find_by_token(&self.stores.db, &token.hash(), now).await?
        else {
            return self.verify_account(origin, &token, password).await;
        };
        self.check_password(origin, &pending, password).await?;

        let mut unit = Unit::begin(&self.stores, origin).await?;
        repository::lock_address(unit.connection(), &pending.email_key).await?;
        let at = unit.at();
        let Some(pending) =
            repository::find_by_token(&mut *unit.connection(), &token.hash(), at).await?
        else {
            return Err(unknown_token());
        };
        let created = create(&mut unit, &pending).await?;
        if created {
            repository::remove_all_of(unit.connection(), &pending.email_key).await?;
        } else {
            repository::remove(unit.connection(), pending.id).await?;
        }
        unit.commit().await?;
        if created { Ok(()) } else { Err(email_taken()) }
    }

    /// Removes the registration that the token was mailed for. The owner of a mailbox does so with a registration that
    /// they did not make.
    pub async fn discard_registration(&self, origin: &Origin, token: &str) -> Result<()> {
        let token = OpaqueToken::parse(token).ok_or_else(unknown_token)?;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        let found = repository::find_by_token(&mut *unit.connection(), &token.hash(), at).await?;
        let pending = found.ok_or_else(unknown_token)?;
        if !repository::remove(unit.connection(), pending.id).await? {
            return Err(unknown_token());
        }
        let target = Target::Registration(pending.id);
        unit.audit(Action::RegistrationDiscarded, target, Outcome::Success)
            .await?;
        unit.commit().await
    }

    async fn check_password(
        &self,
        origin: &Origin,
        pending: &Pending,
        password: Password,
    ) -> Result<()> {
        let attempt = Attempt::registration(origin.ip, pending.id);
        self.throttle.begin(&attempt).await?;
        match self
            .hasher
            .verify(password, Some(pending.password_hash.clone()))
            .await
        {
            Ok(Verified::Yes | Verified::YesOutdated) => {
                self.throttle.succeeded(&attempt).await;
                return Ok(());
            }
            Ok(Verified::No) => {}
            Err(error) => {
                self.throttle.undecided(&attempt).await;
                return Err(error.into());
            }
        }
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let failures = repository::fail(unit.connection(), pending.id).await?;
        if failures.is_some_and(|failures| failures >= MAX_FAILURES) {
            repository::remove(unit.connection(), pending.id).await?;
        }
        let details = json!({ "reason": "wrong_password", "failures": failures });
        let target = Target::Registration(pending.id);
        unit.audit_with(
            Action::RegistrationRefused,
            target,
            Outcome::Refused,
            details,
        )
        .await?;
        unit.commit().await?;
        Err(wrong_password())
    }
}

/// Creates the account, or takes over an unverified one of the address. False if a verified account has the address, or can
/// take it back.
async fn create(unit: &mut Unit, pending: &Pending) -> Result<bool> {
    let name = pending
        .display_name
        .as_deref()
        .map(DisplayName::parse)
        .transpose();
    let account = NewAccount {
        id: UserId::mint(unit.at()),
        email: Email::parse(&pending.email).map_err(Error::internal)?,
        // A name of before a rule of names was stricter is left out.
        display_name: name.unwrap_or_default(),
        password_hash: Some(pending.password_hash.clone()),
    };
    let details = json!({ "registration_id": pending.id });
    let holder = match users::create(unit, &account).await? {
        Creation::Created => Some(account.id),
        Creation::Taken => take_over_unverified(unit, &account).await?,
        Creation::Reserved => None,
    };
    let Some(id) = holder else {
        let details = json!({ "reason": "email_taken", "registration_id": pending.id });
        let target = Target::Registration(pending.id);
        unit.audit_with(
            Action::RegistrationRefused,
            target,
            Outcome::Refused,
            details,
        )
        .await?;
        return Ok(false);
    };
    unit.act_as(id);
    unit.audit_with(
        Action::AccountRegistered,
        Target::User(id),
        Outcome::Success,
        details,
    )
    .await?;
    unit.audit(Action::EmailVerified, Target::User(id), Outcome::Success)
        .await?;
    Ok(true)
}

/// Returns the account that has the address if it was not verified: it is the person's who proved the address from now on.
async fn take_over_unverified(unit: &mut Unit, proved: &NewAccount) -> Result<Option<UserId>> {
    let holder = users::hold_by_email(unit, &proved.email).await?;
    let Some(holder) = holder.filter(|holder| holder.email_verified_at.is_none()) else {
        return Ok(None);
    };
    takeover::take_over(unit, holder.id, proved).await?;
    Ok(Some(holder.id))
}

/// The link is of another registration of the address than the one that the password is of, or the password is wrong.
pub(super) fn wrong_password() -> Error {
    let detail = "This is not the password of the registration that the link was mailed for. If you registered more \
                  than once, open the link of the newest mail. Otherwise register again, or, if you did not make this \
                  registration, discard it at /v1/auth/registrations/discard.";
    Error::invalid("/password", Rejection::new("wrong_password", detail))
}

fn email_taken() -> Error {
    let detail =
        "The address has an account by now, or had one that can still take it back: log in, or reset its password."
            .to_owned();
    Error::Conflict {
        code: ErrorCode::EmailTaken,
        detail,
    }
}
