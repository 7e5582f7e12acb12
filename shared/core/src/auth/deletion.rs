//! The end of an account: nothing personal of it stays, and nobody can use anything that it had.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::UserId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::user::UserStatus;
use serde_json::json;

use super::{Auth, proofs, revocation, tokens};
use crate::unit::Unit;
use crate::{Error, Result, api_keys, challenges, files, notifications, users};

impl Auth {
    /// Deletes the account, by its owner or an administrator. Its row stays, so that ids in the audit log name
    /// something; its address can register again. Not found when it was deleted before.
    pub async fn delete_account(&self, origin: &Origin, user: UserId) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let account = users::find_locked(&mut unit, user).await?;
        let account =
            account.filter(|account| account.status != UserStatus::Deleted).ok_or(Error::NotFound)?;
        users::keep_an_administrator(&mut unit, user).await?;
        revocation::end_sessions(&mut unit, user, None).await?;
        api_keys::remove_all_of(&mut unit, user).await?;
        challenges::remove_all_of(&mut unit, user).await?;
        proofs::remove_factors(unit.connection(), user).await?;
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
}
