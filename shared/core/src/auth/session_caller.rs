//! Changes that need a live session: the one way in which an operation that asks for a fresh proof opens its unit of work.

use std::ops::Deref;

use plinth_domain::audit::Origin;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{SessionId, UserId};
use time::OffsetDateTime;

use super::revocation::require_live;
use super::sessions;
use crate::access::{Caller, Login};
use crate::unit::Unit;
use crate::{Error, Result, Stores, users};

/// A caller who was admitted by a session, as a change needs one that affects how an account is used or what others may do.
///
/// The session may end between the admission and the change. [`SessionCaller::begin`] checks it again under the lock of the
/// account, which everything that ends sessions takes as well.
#[derive(Debug, Clone, Copy)]
pub struct SessionCaller<'a> {
    caller: &'a Caller,
    login: &'a Login,
}

impl<'a> SessionCaller<'a> {
    /// Returns `None` for an API key.
    pub fn of(caller: &'a Caller) -> Option<Self> {
        caller.login().map(|login| Self { caller, login })
    }

    pub fn login(&self) -> &'a Login {
        self.login
    }

    pub(crate) fn user_id(&self) -> UserId {
        self.caller.user.id
    }

    pub(crate) fn session(&self) -> SessionId {
        self.login.session
    }

    /// Opens a change of the caller's own account: locks it, and refuses if the session has ended.
    pub(crate) async fn begin(&self, stores: &Stores, origin: &Origin) -> Result<Unit> {
        self.begin_with(stores, origin, &[]).await
    }

    /// Opens a change of another account. Both are locked in the order that all changes keep.
    pub(crate) async fn begin_for(
        &self,
        stores: &Stores,
        origin: &Origin,
        subject: UserId,
    ) -> Result<Unit> {
        self.begin_with(stores, origin, &[subject]).await
    }

    /// Opens a change that depends on a password which was checked before: refuses as well if another one is in force.
    pub(crate) async fn begin_with_password(
        &self,
        stores: &Stores,
        origin: &Origin,
        password_changed_at: Option<OffsetDateTime>,
    ) -> Result<Unit> {
        let mut unit = self.begin(stores, origin).await?;
        if users::hold_unchanged(&mut unit, self.user_id(), password_changed_at).await? {
            return Ok(unit);
        }
        let detail = "The password was changed by another request; repeat this one.".to_owned();
        Err(Error::Conflict {
            code: ErrorCode::AccountChanged,
            detail,
        })
    }

    /// Opens a change of the second factors of the caller's account: refuses as well if the account has one and the session
    /// has proved none. A session that was opened before the first factor was added neither adds nor removes any.
    pub(crate) async fn begin_factor_change(
        &self,
        stores: &Stores,
        origin: &Origin,
    ) -> Result<Unit> {
        let mut unit = self.begin(stores, origin).await?;
        // Read under the lock: a factor may have been added since the caller was admitted.
        if !users::hold(&mut unit, self.user_id())
            .await?
            .has_second_factor
        {
            return Ok(unit);
        }
        let at = unit.at();
        let session = sessions::hold(unit.connection(), self.session(), at).await?;
        if session.is_some_and(|session| session.methods.are_multi_factor()) {
            return Ok(unit);
        }
        let detail =
            "The account has a second factor: log in, or step up, with it first.".to_owned();
        Err(Error::Forbidden {
            code: ErrorCode::SecondFactorRequired,
            detail,
        })
    }

    async fn begin_with(
        &self,
        stores: &Stores,
        origin: &Origin,
        subjects: &[UserId],
    ) -> Result<Unit> {
        let mut unit = Unit::begin(stores, origin).await?;
        let accounts: Vec<UserId> = subjects.iter().copied().chain([self.user_id()]).collect();
        users::lock(&mut unit, &accounts).await?;
        require_live(&mut unit, self.user_id(), self.session()).await?;
        unit.settle_credential(
            "the account is held, under whose lock sessions end, and its session is alive",
        );
        Ok(unit)
    }
}

impl Deref for SessionCaller<'_> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        self.caller
    }
}
