//! The end of a session by its refresh token, which whoever holds it may ask for.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::SessionId;

use super::revocation::end_one;
use super::{Auth, sessions};
use crate::Result;
use crate::unit::Unit;

impl Auth {
    /// Ends the session of a refresh token that its browser is about to forget for `next`: nobody would ever end it
    /// otherwise.
    pub async fn end_replaced(
        &self,
        origin: &Origin,
        refresh_token: &str,
        next: SessionId,
    ) -> Result<()> {
        match self.session_of_refresh_token(refresh_token) {
            Some(session) if session != next => self.end_session_of(origin, refresh_token).await,
            _ => Ok(()),
        }
    }

    /// Ends the session of a refresh token, of whatever age. Nothing happens if it has ended or is none of ours.
    pub async fn end_session_of(&self, origin: &Origin, refresh_token: &str) -> Result<()> {
        let Some(session) = self.session_of_refresh_token(refresh_token) else {
            return Ok(());
        };
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let Some(user) = sessions::owner(unit.connection(), session).await? else {
            return Ok(());
        };
        unit.act_as(user);
        unit.settle_credential("a refresh token is enough to end its session");
        if end_one(&mut unit, user, session).await? {
            unit.audit(
                Action::SessionRevoked,
                Target::Session(session),
                Outcome::Success,
            )
            .await?;
        }
        unit.commit_if_audited().await
    }
}
