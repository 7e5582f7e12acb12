//! The sessions of a user: seen, and ended at once.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{SessionId, UserId};
use serde_json::json;

use super::sessions::{self, SessionView};
use super::{Auth, SessionCaller};
use crate::page::{Page, PageRequest};
use crate::unit::Unit;
use crate::{Error, Result, users};

impl Auth {
    /// The user's live sessions, the newest first.
    pub async fn list_sessions(
        &self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Page<SessionView>> {
        let found = sessions::list(&self.stores.db, user, self.stores.clock.now(), page).await?;
        Ok(Page::cut(found, page, |session| session.id.0))
    }

    /// Ends one session of the user; the very next request with its token is refused.
    pub async fn revoke_session(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        id: SessionId,
    ) -> Result<()> {
        let mut unit = caller.begin(&self.stores, origin).await?;
        end_session(&mut unit, caller.user_id(), id).await?;
        unit.commit().await
    }

    /// Ends every session of the caller but the present one; returns how many were ended.
    pub async fn revoke_other_sessions(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
    ) -> Result<usize> {
        // An impersonation that begins just now is over before this, or begins after and finds its session ended.
        let mut unit = caller.begin(&self.stores, origin).await?;
        let ended = end_sessions(&mut unit, caller.user_id(), Some(caller.session())).await?;
        unit.commit_if_audited().await?;
        Ok(ended)
    }
}

/// Locks the account for a step of a login that needs a live session: see [`require_live`].
pub(super) async fn lock_in_session(
    unit: &mut Unit,
    user: UserId,
    session: SessionId,
) -> Result<()> {
    users::lock(unit, &[user]).await?;
    require_live(unit, user, session).await
}

/// Refuses a change whose session has ended since it was admitted: what ends every session takes away what was added, and
/// finds what is added here. The caller holds the account.
pub(super) async fn require_live(unit: &mut Unit, user: UserId, id: SessionId) -> Result<()> {
    let at = unit.at();
    if sessions::is_live_of(unit.connection(), user, id, at).await? {
        return Ok(());
    }
    Err(session_ended())
}

pub(super) fn session_ended() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::SessionEnded,
        detail: "The session has ended; log in again.",
    }
}

/// Ends one session of the user, and those that the user may have begun from it, in which the user acts for others.
pub(crate) async fn end_session(unit: &mut Unit, user: UserId, id: SessionId) -> Result<()> {
    let at = unit.at();
    if !sessions::is_live_of(unit.connection(), user, id, at).await? {
        return Err(Error::NotFound);
    }
    if !end_one(unit, user, id).await? {
        return Err(Error::NotFound);
    }
    unit.audit(
        Action::SessionRevoked,
        Target::Session(id),
        Outcome::Success,
    )
    .await
}

/// Ends this session of the user, and those in which the user acts for others: it may be the one that began them. An
/// impersonation ends alone. Returns false if the session had ended before.
pub(super) async fn end_one(unit: &mut Unit, user: UserId, id: SessionId) -> Result<bool> {
    let at = unit.at();
    // An impersonation that begins just now is over before this, or begins after and finds its session ended.
    users::lock(unit, &[user]).await?;
    let impersonations =
        sessions::hold_with_impersonations(unit.connection(), user, id, at).await?;
    unit.changes_session(id).await;
    let ended = sessions::revoke(unit.connection(), id, at).await?;
    end(unit, &impersonations, Target::Session(id)).await?;
    Ok(ended)
}

/// Ends the user's sessions but the one that is to stay, and those in which he acts for others. Part of every change
/// after which whoever is logged in may be somebody else.
pub(crate) async fn end_sessions(
    unit: &mut Unit,
    user: UserId,
    stays: Option<SessionId>,
) -> Result<usize> {
    let at = unit.at();
    let mut ids = sessions::live_of(unit.connection(), user, at).await?;
    ids.retain(|id| Some(*id) != stays);
    end(unit, &ids, Target::User(user)).await
}

/// Ends the sessions in which the user acts for others, and those in which others act for him: what he may do changes,
/// and with it what may be done in his name.
pub(crate) async fn end_impersonations_around(unit: &mut Unit, user: UserId) -> Result<usize> {
    let at = unit.at();
    let ids = sessions::impersonations_around(unit.connection(), user, at).await?;
    end(unit, &ids, Target::User(user)).await
}

/// The same for everybody who has this role.
pub(crate) async fn end_impersonations_around_role(unit: &mut Unit, role: &str) -> Result<usize> {
    let at = unit.at();
    let ids = sessions::impersonations_around_role(unit.connection(), role, at).await?;
    end(unit, &ids, Target::Role).await
}

async fn end(unit: &mut Unit, ids: &[SessionId], target: Target) -> Result<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    let at = unit.at();
    unit.changes_sessions(ids).await;
    sessions::revoke_all(unit.connection(), ids, at).await?;
    let details = json!({ "sessions": ids.len() });
    unit.audit_with(Action::SessionRevoked, target, Outcome::Success, details)
        .await?;
    Ok(ids.len())
}
