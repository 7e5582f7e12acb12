//! Adding and removing authenticator apps.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::authentication::{Method, Methods};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{TotpFactorId, UserId};
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::{FactorKind, SecurityNotice};
use plinth_domain::one_time_code::OneTimeCode;
use plinth_domain::rejection::Rejection;
use plinth_domain::text::DisplayName;
use time::OffsetDateTime;

use super::recovery::{drop_codes_with_last_factor, first_codes};
use super::repository::{self, NewFactor};
use super::reset::announce_removed;
use super::totp::{self, Provisioning, TotpSecret};
use super::{SecondFactors, context};
use crate::auth::SessionCaller;
use crate::unit::Unit;
use crate::{Error, Result, auth};

/// So many apps are enough for anybody.
const MOST: usize = 10;

/// The name of an app that was imported.
const IMPORTED_NAME: &str = "Authenticator app";

/// An app that waits for its first code.
#[derive(Debug)]
pub struct Enrolment {
    pub id: TotpFactorId,
    pub provisioning: Provisioning,
}

/// What comes of a first code.
#[derive(Debug)]
pub struct Confirmation {
    /// Shown once; none where the user has some already.
    pub recovery_codes: Option<Vec<String>>,
}

impl SecondFactors {
    /// Makes a secret for an app. Nothing asks for its codes before the first one was given.
    pub async fn start_totp(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        name: &DisplayName,
    ) -> Result<Enrolment> {
        let user = &*caller.user;
        let mut unit = caller.begin_factor_change(&self.stores, origin).await?;
        let at = unit.at();
        if repository::confirmed(unit.connection(), user.id, None)
            .await?
            .len()
            >= MOST
        {
            let detail = format!("An account has at most {MOST} authenticator apps.");
            return Err(Error::Conflict {
                code: ErrorCode::TooManyFactors,
                detail,
            });
        }
        let id = TotpFactorId::mint(at);
        let secret = totp::fresh_secret();
        let provisioning = totp::provision(secret, &user.email, &self.product)?;
        let sealed = self.sealer.seal(&context(user.id, id), &secret);
        let factor = NewFactor {
            id,
            user: user.id,
            name: name.as_str(),
            secret: &sealed,
        };
        repository::insert(unit.connection(), &factor, at).await?;
        unit.audit(
            Action::FactorEnrolmentStarted,
            Target::TotpFactor(id),
            Outcome::Success,
        )
        .await?;
        unit.commit().await?;
        Ok(Enrolment { id, provisioning })
    }

    /// Adds an app whose codes another system has asked for. It counts as added long ago: an operator vouches for it, and a
    /// password reset, with which an imported account often begins, must not distrust it.
    pub(crate) async fn import(
        &self,
        unit: &mut Unit,
        user: UserId,
        secret: &TotpSecret,
    ) -> Result<()> {
        let at = unit.at();
        let id = TotpFactorId::mint(at);
        let sealed = self.sealer.seal(&context(user, id), secret.as_bytes());
        let factor = NewFactor {
            id,
            user,
            name: IMPORTED_NAME,
            secret: &sealed,
        };
        repository::insert(unit.connection(), &factor, OffsetDateTime::UNIX_EPOCH).await?;
        repository::confirm(unit.connection(), id, 0, OffsetDateTime::UNIX_EPOCH).await?;
        unit.audit(
            Action::FactorEnrolled,
            Target::TotpFactor(id),
            Outcome::Success,
        )
        .await
    }

    /// Takes the first code as the proof that the app has the secret. From the next refresh on the session counts as
    /// one of two factors.
    pub async fn confirm_totp(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: TotpFactorId,
        code: &OneTimeCode,
    ) -> Result<Confirmation> {
        let (user, session) = (caller.user_id(), caller.session());
        let mut unit = caller.begin_factor_change(&self.stores, origin).await?;
        let at = unit.at();
        let waiting = repository::hold_waiting(unit.connection(), user, id)
            .await?
            .ok_or(Error::NotFound)?;
        let step = totp::step_of(&self.open(user, &waiting)?, code, at).ok_or_else(|| {
            Error::invalid(
                "/code",
                Rejection::new("wrong_code", "It is not the code that the app shows now."),
            )
        })?;
        unit.changes_user(user).await;
        repository::confirm(unit.connection(), id, step, at).await?;
        let proved = Methods::of(&[Method::OneTimeCode, Method::MultiFactor]);
        auth::note_methods(&mut unit, session, &proved).await?;
        unit.audit(
            Action::FactorEnrolled,
            Target::TotpFactor(id),
            Outcome::Success,
        )
        .await?;
        let notice = SecurityNotice::FactorAdded {
            kind: FactorKind::Totp,
        };
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice,
        })
        .await?;
        let recovery_codes = first_codes(&mut unit, user).await?;
        unit.commit().await?;
        Ok(Confirmation { recovery_codes })
    }

    /// Removes an app; with the last factor go the recovery codes. The last one stays while a role requires it.
    pub async fn remove_totp(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: TotpFactorId,
    ) -> Result<()> {
        let (user, is_required) = (caller.user_id(), caller.rights.requires_mfa);
        // Two removals at once must not each leave the last factor to the other.
        let mut unit = caller.begin_factor_change(&self.stores, origin).await?;
        if !repository::remove(unit.connection(), user, id).await? {
            return Err(Error::NotFound);
        }
        announce_removed(&mut unit, user, &[id]).await?;
        if is_required && repository::count_factors(unit.connection(), user).await? == 0 {
            let detail =
                "A role of the account needs a second factor; add another one first.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::SecondFactorRequired,
                detail,
            });
        }
        drop_codes_with_last_factor(&mut unit, user).await?;
        unit.commit().await
    }
}
