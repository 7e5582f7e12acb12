//! The end of an account: nothing personal of it stays, and nobody can use anything that it had.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::UserId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::user::User;
use serde_json::json;

use super::{Auth, revocation, tokens};
use crate::access::Caller;
use crate::unit::Unit;
use crate::{Error, Result, api_keys, challenges, files, notifications, passkeys, second_factors, users};

impl Auth {
    /// Deletes the account of somebody else, who may do no more than `caller`.
    pub async fn delete_account_of(&self, origin: &Origin, caller: &Caller, user: UserId) -> Result<()> {
        if caller.user.id == user {
            let detail = "The own account is deleted at /v1/me.".to_owned();
            return Err(Error::Conflict { code: "own_account", detail });
        }
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let account = users::hold(&mut unit, user).await?;
        users::require_authority(&mut unit, caller, &account).await?;
        delete(unit, account).await
    }

    /// Deletes the account of who asks. Its row stays, so that ids in the audit log name
    /// something; its address can register again. Not found when it was deleted before.
    pub async fn delete_account(&self, origin: &Origin, user: UserId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let account = users::hold(&mut unit, user).await?;
        delete(unit, account).await
    }
}

async fn delete(mut unit: Unit, account: User) -> Result<()> {
    let user = account.id;
    users::keep_an_administrator(&mut unit, user).await?;
    challenges::remove_all_of(&mut unit, user).await?;
    revocation::end_sessions(&mut unit, user, None).await?;
    api_keys::remove_all_of(&mut unit, user).await?;
    second_factors::remove_all_of(&mut unit, user).await?;
    passkeys::remove_all_of(&mut unit, user).await?;
    tokens::remove_all_of(unit.connection(), user).await?;
    notifications::remove_all_of(&mut unit, user).await?;
    let files = files::delete_all_of(&mut unit, user).await?;
    users::bury(&mut unit, user).await?;
    let details = json!({ "files": files });
    unit.audit_with(Action::AccountDeleted, Target::User(user), Outcome::Success, details).await?;
    let notice = SecurityNotice::AccountDeleted { email: account.email };
    unit.enqueue(&SendSecurityNotice { user_id: user, notice }).await?;
    unit.commit().await
}
