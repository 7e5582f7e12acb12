//! Changes that need a live session: the one way in which an operation that asks for a fresh proof opens its unit of work.

use std::ops::Deref;

use plinth_domain::audit::Origin;
use plinth_domain::id::{SessionId, UserId};
use time::OffsetDateTime;

use super::revocation::require_live;
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
    pub(crate) async fn begin_for(&self, stores: &Stores, origin: &Origin, subject: UserId) -> Result<Unit> {
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
        Err(Error::Conflict { code: "account_changed", detail })
    }

    async fn begin_with(&self, stores: &Stores, origin: &Origin, subjects: &[UserId]) -> Result<Unit> {
        let mut unit = Unit::begin(stores, origin).await?;
        let accounts: Vec<UserId> = subjects.iter().copied().chain([self.user_id()]).collect();
        users::lock(&mut unit, &accounts).await?;
        require_live(&mut unit, self.user_id(), self.session()).await?;
        Ok(unit)
    }
}

impl Deref for SessionCaller<'_> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        self.caller
    }
}
