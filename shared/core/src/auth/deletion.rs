//! The end of an account: a grace period in which it can be restored, and then nothing personal of it stays.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::user::{User, UserStatus};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::tokens::KeptResets;
use super::{Auth, SessionCaller, recovery, tokens};
use crate::cleanup::{Batch, Pass, PassedOver};
use crate::unit::Unit;
use crate::{
    Error, Result, Stores, api_keys, files, notifications, passkeys, second_factors, users,
};

/// Accounts that a step of a clean-up deletes.
const BATCH_SIZE: i64 = 50;

/// When an account is deleted for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionTime {
    /// When the grace period is over.
    AfterGrace,
    Now,
}

impl Auth {
    /// Deletes another account, which may do no more than the caller. One that is deleting already stays so, unless it is
    /// deleted for good.
    pub async fn delete_account_of(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        user: UserId,
        time: DeletionTime,
    ) -> Result<()> {
        if caller.user_id() == user {
            let detail = "The own account is deleted at /v1/me.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::OwnAccount,
                detail,
            });
        }
        let mut unit = caller.begin_for(&self.stores, origin, user).await?;
        let account = users::hold(&mut unit, user).await?;
        users::require_authority(&mut unit, &caller, &account).await?;
        if time == DeletionTime::AfterGrace && account.deletion_due_at.is_some() {
            return Ok(());
        }
        self.delete(unit, account, time).await
    }

    /// Deletes the caller's account.
    pub async fn delete_account(&self, origin: &Origin, caller: SessionCaller<'_>) -> Result<()> {
        let mut unit = caller.begin(&self.stores, origin).await?;
        let account = users::hold(&mut unit, caller.user_id()).await?;
        self.delete(unit, account, DeletionTime::AfterGrace).await
    }

    async fn delete(&self, mut unit: Unit, account: User, time: DeletionTime) -> Result<()> {
        let grace = self.lifetimes.deletion_grace;
        if time == DeletionTime::Now || grace.is_zero() {
            return delete_for_good(unit, account).await;
        }
        let user = account.id;
        let due_at = unit.at() + grace;
        users::keep_an_administrator(&mut unit, user).await?;
        // Links that take an address back stay: it may be an intruder who deletes the account.
        let at = unit.at();
        recovery::end_access(&mut unit, user, KeptResets::All, at).await?;
        files::remove_links_of(&mut unit, user).await?;
        users::begin_deletion(&mut unit, user, due_at).await?;
        unit.audit(
            Action::AccountDeletionScheduled,
            Target::User(user),
            Outcome::Success,
        )
        .await?;
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice: SecurityNotice::DeletionScheduled,
        })
        .await?;
        unit.commit().await
    }

    /// Takes the deletion of another account back, which may do no more than the caller.
    pub async fn restore_account_of(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        user: UserId,
    ) -> Result<User> {
        let mut unit = caller.begin_for(&self.stores, origin, user).await?;
        let account = users::hold(&mut unit, user).await?;
        users::require_authority(&mut unit, &caller, &account).await?;
        if account.deletion_due_at.is_none() {
            let detail = "The account is not deleted.".to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::AccountNotDeleting,
                detail,
            });
        }
        restore(&mut unit, user).await?;
        let account = users::hold(&mut unit, user).await?;
        unit.commit().await?;
        Ok(account)
    }
}

/// Takes the deletion of an account back. The caller holds it.
pub(super) async fn restore(unit: &mut Unit, user: UserId) -> Result<()> {
    users::cancel_deletion(unit, user).await?;
    unit.audit(
        Action::AccountRestored,
        Target::User(user),
        Outcome::Success,
    )
    .await?;
    unit.enqueue(&SendSecurityNotice {
        user_id: user,
        notice: SecurityNotice::AccountRestored,
    })
    .await?;
    Ok(())
}

/// Leaves the row of the account, so that ids in the audit log name something; its address can register again.
async fn delete_for_good(mut unit: Unit, account: User) -> Result<()> {
    let user = account.id;
    users::keep_an_administrator(&mut unit, user).await?;
    let at = unit.at();
    recovery::end_access(&mut unit, user, KeptResets::None, at).await?;
    files::remove_links_of(&mut unit, user).await?;
    api_keys::remove_all_of(&mut unit, user).await?;
    second_factors::remove_all_of(&mut unit, user).await?;
    passkeys::remove_all_of(&mut unit, user).await?;
    tokens::remove_all_of(unit.connection(), user).await?;
    notifications::remove_all_of(&mut unit, user).await?;
    let files = files::delete_all_of(&mut unit, user).await?;
    users::bury(&mut unit, user).await?;
    let details = json!({ "files": files });
    unit.audit_with(
        Action::AccountDeleted,
        Target::User(user),
        Outcome::Success,
        details,
    )
    .await?;
    let notice = SecurityNotice::AccountDeleted {
        email: account.email,
    };
    unit.enqueue(&SendSecurityNotice {
        user_id: user,
        notice,
    })
    .await?;
    unit.commit().await
}

/// Deletes the accounts whose grace period ended before this time, for the clean-up. One that fails is logged and passed
/// over. If the bucket does not belong to this database, all stay.
pub(crate) async fn due_deletions(
    stores: &Stores,
    before: OffsetDateTime,
    after: Uuid,
    pass: Pass,
) -> Result<Batch> {
    if pass == Pass::Count {
        return Ok(Batch::whole(
            users::count_due_deletions(stores, before).await?,
        ));
    }
    let due = users::due_deletions(stores, before, after, BATCH_SIZE).await?;
    // A database that was restored does not know which accounts their owners have restored since.
    if !due.is_empty()
        && let Some(reason) = files::reconcile::objection_to_removal(stores).await?
    {
        return Ok(Batch::held_back(reason));
    }
    let (mut deleted, mut passed_over) = (0, PassedOver::default());
    for user in &due {
        match delete_due(stores, *user, before).await {
            Ok(true) => deleted += 1,
            Ok(false) => {}
            Err(error) => passed_over.note(format_args!("account {user}"), error)?,
        }
    }
    Ok(Batch::walk(
        deleted,
        due.last().map(|last| last.0),
        passed_over,
    ))
}

/// False if the account was restored or deleted since it was found.
async fn delete_due(stores: &Stores, user: UserId, before: OffsetDateTime) -> Result<bool> {
    let mut unit = Unit::begin(stores, &Origin::system()).await?;
    let account = users::find_locked(&mut unit, user).await?;
    let is_due = |account: &User| {
        matches!(account.status, UserStatus::Deleting | UserStatus::Suspended)
            && account
                .deletion_due_at
                .is_some_and(|due_at| due_at < before)
    };
    match account.filter(is_due) {
        Some(account) => delete_for_good(unit, account).await.map(|()| true),
        None => Ok(false),
    }
}
