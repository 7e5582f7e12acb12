//! Unverified accounts give way to a proof of their address: by a registration, or by a change of address.

use plinth_domain::audit::{Action, Outcome, Target};
use plinth_domain::email::Email;
use plinth_domain::id::UserId;
use serde_json::json;

use super::super::{revocation, tokens};
use crate::unit::Unit;
use crate::users::{self, NewAccount};
use crate::{Result, api_keys, challenges, passkeys, second_factors};

/// Gives an unverified account to the person who proved its address. Everything that logs in is theirs from now on; the
/// second factors of an imported account stay, as its roles do, since the operator vouches for both. The caller holds the
/// account.
pub(super) async fn take_over(unit: &mut Unit, user: UserId, proved: &NewAccount) -> Result<()> {
    end_access(unit, user).await?;
    if !users::is_imported(unit, user).await? {
        remove_factors(unit, user).await?;
    }
    users::take_over(unit, user, proved).await
}

/// Removes the unverified account that has the address, if it is another one than `except`. One that another change
/// holds at this moment stays.
pub(crate) async fn release_unverified(
    unit: &mut Unit,
    email: &Email,
    except: UserId,
) -> Result<()> {
    let Some(user) = users::hold_unverified(unit, email, except).await? else {
        return Ok(());
    };
    end_access(unit, user).await?;
    remove_factors(unit, user).await?;
    users::bury(unit, user).await?;
    let details = json!({ "reason": "address_proved_by_another_account" });
    unit.audit_with(
        Action::AccountDeleted,
        Target::User(user),
        Outcome::Success,
        details,
    )
    .await
}

async fn end_access(unit: &mut Unit, user: UserId) -> Result<()> {
    challenges::remove_all_of(unit, user, None).await?;
    revocation::end_sessions(unit, user, None).await?;
    api_keys::remove_all_of(unit, user).await?;
    Ok(tokens::remove_all_of(unit.connection(), user).await?)
}

async fn remove_factors(unit: &mut Unit, user: UserId) -> Result<()> {
    second_factors::remove_all_of(unit, user).await?;
    passkeys::remove_all_of(unit, user).await
}
