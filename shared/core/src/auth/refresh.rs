//! Refresh: the old refresh token for a new one and a new access token (RFC 9700, section 4.14.2).
//!
//! A token's successor is computed from it with a key of ours, so that an honest repetition (a lost response, two
//! tabs) within the grace gets the same successor, and nothing readable has to be kept for it.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_platform::crypto::OpaqueToken;

use super::sessions::{self, Held};
use super::{Auth, SessionTokens};
use crate::unit::Unit;
use crate::{Error, Result};

/// For so long after a rotation the old token is an honest repetition; later it is a theft.
const GRACE: time::Duration = time::Duration::seconds(10);

impl Auth {
    /// Rotates the session's tokens.
    pub async fn refresh(&self, origin: &Origin, token: &str) -> Result<SessionTokens> {
        let presented = OpaqueToken::parse(token).ok_or_else(refused)?;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        let held = sessions::hold(unit.connection(), &presented.hash(), at).await?;
        let held = held.filter(|held| held.live).ok_or_else(refused)?;
        unit.act_as(held.user);
        if held.is_previous && held.rotated_at.is_none_or(|rotated| at - rotated > GRACE) {
            return self.end_stolen(unit, &held).await;
        }
        let next = presented.successor(&self.successor_key);
        if !held.is_previous {
            let idle_expires_at = (at + self.lifetimes.session_idle).min(held.expires_at);
            // No hot copy goes stale: it knows the session's end before this, and past it PostgreSQL is asked.
            sessions::rotate(unit.connection(), held.id, &next.hash(), idle_expires_at, at).await?;
            unit.audit(Action::SessionRefreshed, Target::Session(held.id), Outcome::Success).await?;
        }
        unit.commit().await?;
        self.tokens(held.user, held.id, held.authenticated_at, next.reveal())
    }

    /// Two hold the session's tokens and nobody can say which is its owner: it ends for both.
    async fn end_stolen(&self, mut unit: Unit, held: &Held) -> Result<SessionTokens> {
        let at = unit.at();
        unit.changes_session(held.id).await;
        sessions::revoke(unit.connection(), held.id, at).await?;
        unit.audit(Action::RefreshReused, Target::Session(held.id), Outcome::Refused).await?;
        unit.commit().await?;
        Err(refused())
    }
}

fn refused() -> Error {
    Error::Unauthenticated {
        code: "invalid_refresh_token",
        detail: "The refresh token is unknown, used or expired; log in again.",
    }
}
