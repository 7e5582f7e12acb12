//! Accounts that a release without registrations created before their address was proved. Their links work until they
//! expire, but only together with the account's password.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::{RegistrationId, UserId};
use plinth_domain::password::Password;
use plinth_domain::purpose::TokenPurpose;
use plinth_domain::user::{User, UserStatus};
use plinth_platform::crypto::OpaqueToken;

use super::super::Auth;
use super::super::mailed_token::{self, Asked, Wanted, unknown_token};
use super::super::throttle::Attempt;
use super::super::tokens::{self};
use super::mail::{Verification, VerificationMail};
use super::proof::wrong_password;
use crate::unit::Unit;
use crate::{Result, users};

impl Verification {
    /// Mints a token for the address of an account that is not verified.
    pub async fn prepare_for_account(&self, user: UserId) -> Result<Option<VerificationMail>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let Some(account) = users::find_locked(&mut unit, user)
            .await?
            .filter(waits_for_proof)
        else {
            return Ok(None);
        };
        let at = unit.at();
        let token = mailed_token::mint(&mut unit, &self.wanted(user), at).await?;
        unit.commit().await?;
        Ok(Some(self.mail_to(account, token)))
    }

    /// The same by the account's address, at most once in a while.
    pub async fn prepare_for_address(
        &self,
        email: &Email,
        asked: Asked,
    ) -> Result<Option<VerificationMail>> {
        let mut unit = Unit::begin(&self.stores, &Origin::system()).await?;
        let Some(account) = users::hold_by_email(&mut unit, email)
            .await?
            .filter(waits_for_proof)
        else {
            return Ok(None);
        };
        let token =
            mailed_token::mint_sparingly(&mut unit, &self.wanted(account.id), asked).await?;
        unit.commit().await?;
        Ok(token.map(|token| self.mail_to(account, token)))
    }

    fn wanted(&self, user: UserId) -> Wanted<'static> {
        Wanted {
            user,
            purpose: TokenPurpose::VerifyEmail,
            email: None,
            valid: self.lifetime,
        }
    }

    fn mail_to(&self, account: User, token: OpaqueToken) -> VerificationMail {
        let target = Target::User(account.id);
        VerificationMail {
            to: account.email,
            token,
            valid: self.lifetime,
            target,
        }
    }
}

fn waits_for_proof(user: &User) -> bool {
    user.status == UserStatus::Active && user.email_verified_at.is_none()
}

impl Auth {
    /// Verifies the address of an account by a link and the account's password.
    pub(super) async fn verify_account(
        &self,
        origin: &Origin,
        token: &OpaqueToken,
        password: Password,
    ) -> Result<()> {
        let now = self.stores.clock.now();
        let found = tokens::find(
            &self.stores.db,
            &token.hash(),
            TokenPurpose::VerifyEmail,
            now,
        )
        .await?;
        let (user, _) = found.ok_or_else(unknown_token)?;
        let known = users::credentials_of(&self.stores, user)
            .await?
            .ok_or_else(unknown_token)?;
        let attempt = Attempt::registration(origin.ip, RegistrationId(user.0));
        self.throttle.begin(&attempt).await?;
        if !self
            .is_password_of(Some(&known), password, &attempt)
            .await?
        {
            return Err(wrong_password());
        }
        self.throttle.succeeded(&attempt).await;
        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        let account = users::find_locked(&mut unit, user)
            .await?
            .ok_or_else(unknown_token)?;
        let at = unit.at();
        let redeemed = tokens::redeem(
            unit.connection(),
            &token.hash(),
            TokenPurpose::VerifyEmail,
            at,
        )
        .await?;
        redeemed.ok_or_else(unknown_token)?;
        users::mark_email_verified(&mut unit, &account).await?;
        unit.audit(Action::EmailVerified, Target::User(user), Outcome::Success)
            .await?;
        unit.commit().await
    }
}
