//! Logout: the session and the access token in use end at once.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::id::UserId;

use super::revocation::end_one;
use super::{Auth, tokens};
use crate::Result;
use crate::access::{self, Login};
use crate::unit::Unit;

impl Auth {
    /// Ends the caller's session, and those in which the caller acts for others; the very next request with its token is
    /// refused. An impersonation ends alone.
    pub async fn log_out(&self, origin: &Origin, user: UserId, login: &Login) -> Result<()> {
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        if end_one(&mut unit, user, login.session).await? {
            unit.audit(
                Action::SessionRevoked,
                Target::Session(login.session),
                Outcome::Success,
            )
            .await?;
        }
        tokens::take_back(unit.connection(), login.token, login.token_expires_at).await?;
        unit.commit_if_audited().await?;
        access::blacklist(&self.stores, login.token, login.token_expires_at - at).await;
        Ok(())
    }
}
