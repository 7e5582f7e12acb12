//! The recovery of an account: what ends when its owner, or an administrator, takes it back from an intruder.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::job::{SendPasswordResetMail, SendSecurityNotice};
use plinth_domain::notice::SecurityNotice;
use plinth_domain::text::Reason;
use serde_json::json;
use time::OffsetDateTime;

use super::tokens::{self, KeptResets};
use super::{Auth, SessionCaller, revocation};
use crate::second_factors::{self, RemainingFactor};
use crate::unit::Unit;
use crate::{Error, Result, api_keys, challenges, files, passkeys, users};

impl Auth {
    /// Takes an account back for its owner, who may do no more than the caller: its password, sessions, API keys and second
    /// factors end, and only the link that is mailed to its address lets the owner in. Returns the factors that remain,
    /// which are none.
    pub async fn reset_account(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        user: UserId,
        reason: &Reason,
    ) -> Result<Vec<RemainingFactor>> {
        if caller.user_id() == user {
            let detail = "The own password is changed at /v1/me/password.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::OwnAccount,
                detail,
            });
        }
        let mut unit = caller.begin_for(&self.stores, origin, user).await?;
        let account = users::hold(&mut unit, user).await?;
        users::require_authority(&mut unit, &caller, &account).await?;
        let email = Email::parse_known(&account.email).map_err(Error::internal)?;
        let at = unit.at();
        users::begin_recovery(&mut unit, user, at).await?;
        let details = json!({ "reason": reason.as_str() });
        unit.audit_with(
            Action::AccountReset,
            Target::User(user),
            Outcome::Success,
            details,
        )
        .await?;
        end_access(
            &mut unit,
            user,
            KeptResets::To(&email),
            self.trusted_before(at),
        )
        .await?;
        second_factors::remove_all_of(&mut unit, user).await?;
        passkeys::remove_all_of(&mut unit, user).await?;
        unit.enqueue(&SendPasswordResetMail {
            email: account.email,
        })
        .await?;
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice: SecurityNotice::AccountReset,
        })
        .await?;
        let remaining = remaining(&mut unit, user).await?;
        unit.commit().await?;
        Ok(remaining)
    }
}

/// Ends everything by which somebody may be in the account, or is about to come in: sessions and impersonations, API keys,
/// challenges, mailed tokens, and the share links that these sessions and keys made, or others that were made `since` then.
/// Links that take an address back stay, and of those to choose another password the ones named. The caller holds the
/// account and changes its password, which ends known devices and logins under way.
pub(super) async fn end_access(
    unit: &mut Unit,
    user: UserId,
    kept: KeptResets<'_>,
    since: OffsetDateTime,
) -> Result<()> {
    tokens::void(unit.connection(), user, kept).await?;
    challenges::remove_all_of(unit, user, None).await?;
    revocation::end_sessions(unit, user, None).await?;
    api_keys::revoke_all_of(unit, user).await?;
    files::end_links_made_by_ended(unit, user, since)
        .await
        .map(drop)
}

/// Whether the user has a second factor that was added before then.
pub(super) async fn has_factor_before(
    unit: &mut Unit,
    user: UserId,
    before: OffsetDateTime,
) -> Result<bool> {
    let available = second_factors::available(unit, user, Some(before)).await?;
    Ok(available.totp
        || available.recovery_codes
        || passkeys::has_one_before(unit, user, before).await?)
}

/// Distrusts the factors that were added from then on: removes them, or suspends them until an older one is proved if there
/// is an older one. The caller holds the account.
pub(super) async fn distrust_added_since(
    unit: &mut Unit,
    user: UserId,
    since: OffsetDateTime,
) -> Result<()> {
    if has_factor_before(unit, user, since).await? {
        passkeys::suspend_added_since(unit, user, since).await?;
        return second_factors::suspend_added_since(unit, user, since).await;
    }
    remove_added_since(unit, user, since).await
}

/// Removes the factors that were added from then on. The caller holds the account.
pub(super) async fn remove_added_since(
    unit: &mut Unit,
    user: UserId,
    since: OffsetDateTime,
) -> Result<()> {
    passkeys::remove_added_since(unit, user, since).await?;
    second_factors::remove_added_since(unit, user, since).await
}

/// Removes the factors that a reset has suspended, once an older one was proved.
pub(super) async fn remove_suspended(unit: &mut Unit, user: UserId) -> Result<()> {
    passkeys::remove_suspended(unit, user).await?;
    second_factors::remove_suspended(unit, user).await
}

/// The second factors that the user has.
pub(super) async fn remaining(unit: &mut Unit, user: UserId) -> Result<Vec<RemainingFactor>> {
    let mut remaining = second_factors::remaining(unit, user).await?;
    remaining.extend(passkeys::remaining(unit, user).await?);
    Ok(remaining)
}
