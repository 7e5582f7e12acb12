//! Refresh: the old refresh token for a new one and a new access token (RFC 9700, section 4.14.2).
//!
//! A token's successor is computed from it with a key of ours, so that an honest repetition (a lost response, two
//! tabs) gets the same successor, and nothing readable has to be kept for it. A repetition is honest while the successor
//! was not used, for [`REPEATABLE`]: a client whose answer was lost has only the old token.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::SessionId;
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;

use super::refresh_token::RefreshToken;
use super::revocation::end_one;
use super::sessions::{self, Held};
use super::{Auth, SessionTokens};
use crate::access_tokens::Grant;
use crate::unit::Unit;
use crate::{Error, Result};

/// How long after a rotation the old token may be presented again if its successor was not used; later it is a theft.
///
/// A client retries a lost answer within a minute or two. A thief who presents a copy within this time shares the
/// session until either of them presents a token that the other has already used.
const REPEATABLE: time::Duration = time::Duration::minutes(2);

/// What a token of a live session is.
enum Age {
    Current,
    /// The one before, whose successor was not used yet.
    Repeated,
    /// The one that a step-up has just replaced: another tab did not know of it, or the answer was lost.
    Replaced,
    /// Any other: a second client holds a copy.
    Old,
}

impl Auth {
    /// Whose tokens these are, if they came from here; whether the session lives is another question.
    pub fn session_of_refresh_token(&self, token: &str) -> Option<SessionId> {
        RefreshToken::read(token, &self.refresh_signer).map(|token| token.session())
    }

    /// Rotates the session's tokens.
    pub async fn refresh(&self, origin: &Origin, token: &str) -> Result<SessionTokens> {
        let presented = RefreshToken::read(token, &self.refresh_signer).ok_or_else(refused)?;
        let mut unit = Unit::begin(&self.stores, origin).await?;
        let at = unit.at();
        let held = sessions::hold(unit.connection(), presented.session(), at).await?;
        let held = held.filter(|held| held.live).ok_or_else(refused)?;
        unit.act_as(held.user);
        let next = presented.next(&self.refresh_signer);
        match held.age_of(&presented, &next, at) {
            Age::Old => {
                // Before the session its account is locked.
                drop(unit);
                return self.end_stolen(origin, &held).await;
            }
            // The same tokens again: nothing changes.
            Age::Repeated => {}
            Age::Replaced => return Err(refused()),
            Age::Current => {
                let idle_expires_at = (at + self.lifetimes.session_idle).min(held.expires_at);
                // No hot copy goes stale: it knows the session's end before this, and past it PostgreSQL is asked.
                sessions::rotate(
                    unit.connection(),
                    held.id,
                    &next.hash(),
                    idle_expires_at,
                    at,
                )
                .await?;
                unit.audit(
                    Action::SessionRefreshed,
                    Target::Session(held.id),
                    Outcome::Success,
                )
                .await?;
            }
        }
        unit.commit_if_audited().await?;
        let grant = Grant {
            user: held.user,
            session: held.id,
            authenticated_at: held.authenticated_at,
            methods: held.methods,
            impersonator: held.impersonator,
        };
        let refresh_token = Some(next.reveal(&self.refresh_signer));
        Ok(SessionTokens {
            refresh_token,
            ..self.tokens(grant).await?
        })
    }

    /// Two hold the session's tokens and nobody can say which is its owner: it ends for both, and the owner is told.
    async fn end_stolen(&self, origin: &Origin, held: &Held) -> Result<SessionTokens> {
        let mut unit = Unit::begin(&self.stores, &origin.by(held.user)).await?;
        if !end_one(&mut unit, held.user, held.id).await? {
            return Err(refused());
        }
        unit.audit(
            Action::RefreshReused,
            Target::Session(held.id),
            Outcome::Refused,
        )
        .await?;
        unit.enqueue(&SendSecurityNotice {
            user_id: held.user,
            notice: SecurityNotice::RefreshReused,
        })
        .await?;
        unit.commit().await?;
        Err(refused())
    }
}

impl Held {
    /// A token is the previous one until its successor is presented: then its successor is.
    fn age_of(&self, token: &RefreshToken, next: &RefreshToken, now: OffsetDateTime) -> Age {
        let hash = token.hash();
        if self.refresh_hash.ct_eq(&hash).into() {
            return Age::Current;
        }
        let is_recent = self
            .rotated_at
            .is_some_and(|rotated_at| now - rotated_at <= REPEATABLE);
        // A step-up by an earlier release keeps no hash of the token that it replaces.
        let is_previous = match &self.previous_refresh_hash {
            Some(known) => known.ct_eq(&hash).into(),
            None => true,
        };
        let has_successor: bool = self.refresh_hash.ct_eq(&next.hash()).into();
        match (is_recent && is_previous, has_successor) {
            (true, true) => Age::Repeated,
            (true, false) => Age::Replaced,
            (false, _) => Age::Old,
        }
    }
}

fn refused() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::InvalidRefreshToken,
        detail: "The refresh token is unknown, used or expired; log in again.",
    }
}
