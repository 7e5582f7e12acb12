//! A browser that logs in again gives up the session that it had.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::SessionId;

use super::revocation::end_one;
use super::{Auth, sessions};
use crate::Result;
use crate::unit::Unit;

impl Auth {
    /// Ends the session of a refresh token that its browser is about to forget for `next`: nobody would ever end it
    /// otherwise.
    pub async fn end_replaced(&self, origin: &Origin, refresh_token: &str, next: SessionId) -> Result<()> {
        let replaced = self.session_of_refresh_token(refresh_token).filter(|session| *session != next);
        let Some(session) = replaced else { return Ok(()) };
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let Some(user) = sessions::owner(unit.connection(), session).await? else { return Ok(()) };
        if end_one(&mut unit, user, session).await? {
            unit.audit(Action::SessionRevoked, Target::Session(session), Outcome::Success).await?;
        }
        unit.commit_if_audited().await
    }
}
