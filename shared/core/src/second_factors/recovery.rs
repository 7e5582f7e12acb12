//! Recovery codes: given out, counted, used up.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::{FactorKind, SecurityNotice};

use time::OffsetDateTime;

use super::SecondFactors;
use super::recovery_code::{CODES, RecoveryCode};
use super::repository;
use crate::auth::SessionCaller;
use crate::unit::Unit;
use crate::{Error, Result};

impl SecondFactors {
    /// How many codes the user has left.
    pub async fn recovery_codes_left(&self, user: UserId) -> Result<u32> {
        let left = repository::count_codes(&self.stores.db, user, None).await?;
        Ok(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Gives out new codes, which end the old ones; shown once.
    pub async fn regenerate_recovery_codes(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
    ) -> Result<Vec<String>> {
        let user = caller.user_id();
        let mut unit = caller.begin_factor_change(&self.stores, origin).await?;
        if repository::count_factors(unit.connection(), user).await? == 0 {
            let detail = "Recovery codes go with a second factor; add one first.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::NoSecondFactor,
                detail,
            });
        }
        let codes = issue(&mut unit, user).await?;
        let notice = SecurityNotice::FactorAdded {
            kind: FactorKind::RecoveryCodes,
        };
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice,
        })
        .await?;
        unit.commit().await?;
        Ok(codes)
    }

    /// Whether it is one of the user's codes; it is used up, and he is told.
    pub(crate) async fn use_recovery_code(
        &self,
        unit: &mut Unit,
        user: UserId,
        code: &str,
        before: Option<OffsetDateTime>,
    ) -> Result<bool> {
        let Some(code) = RecoveryCode::parse(code) else {
            return Ok(false);
        };
        if !repository::use_code(unit.connection(), user, &code.hash(user), before).await? {
            return Ok(false);
        }
        unit.act_as(user);
        let left = repository::count_codes(&mut *unit.connection(), user, None).await?;
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        unit.audit(
            Action::RecoveryCodeUsed,
            Target::User(user),
            Outcome::Success,
        )
        .await?;
        let notice = SecurityNotice::RecoveryCodeUsed { left };
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice,
        })
        .await?;
        Ok(true)
    }
}

/// The codes that come with the first factor; none for whoever has some.
pub(crate) async fn first_codes(unit: &mut Unit, user: UserId) -> Result<Option<Vec<String>>> {
    if repository::count_codes(&mut *unit.connection(), user, None).await? > 0 {
        return Ok(None);
    }
    issue(unit, user).await.map(Some)
}

/// A factor has gone: the last one takes the recovery codes with it.
pub(crate) async fn drop_codes_with_last_factor(unit: &mut Unit, user: UserId) -> Result<()> {
    if repository::count_factors(unit.connection(), user).await? == 0 {
        repository::remove_codes(unit.connection(), user).await?;
    }
    Ok(())
}

async fn issue(unit: &mut Unit, user: UserId) -> Result<Vec<String>> {
    let at = unit.at();
    let codes: Vec<_> = (0..CODES).map(|_| RecoveryCode::generate()).collect();
    let hashes: Vec<_> = codes.iter().map(|code| code.hash(user).to_vec()).collect();
    repository::replace_codes(unit.connection(), user, &hashes, at).await?;
    unit.audit(
        Action::RecoveryCodesIssued,
        Target::User(user),
        Outcome::Success,
    )
    .await?;
    Ok(codes.iter().map(RecoveryCode::reveal).collect())
}
