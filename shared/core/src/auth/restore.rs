//! A login to an account that is deleting: it asks whether the account is to be restored, and opens a session only then.

use std::time::Duration;

use plinth_domain::audit::Origin;
use plinth_domain::authentication::Methods;
use plinth_domain::purpose::ChallengePurpose;
use plinth_domain::user::UserStatus;
use time::OffsetDateTime;

use super::deletion::restore;
use super::devices::KnownDevice;
use super::mfa::{LoginAnswer, State, unknown_challenge};
use super::opening::Opener;
use super::{Auth, SessionTokens};
use crate::challenges::{self, NewChallenge};
use crate::unit::Unit;
use crate::{Error, Result, users};

/// What somebody who logs in to an account that is deleting is asked.
#[derive(Debug)]
pub struct PendingDeletion {
    /// Restores the account and opens the session, once.
    pub challenge: String,
    /// When the account is deleted for good.
    pub due_at: OffsetDateTime,
    pub expires_in: Duration,
}

impl Auth {
    /// Opens a session of an owner who has proved by `methods` who they are; if the account is deleting, gives what
    /// restores it instead.
    pub(super) async fn open_or_ask(
        &self,
        origin: &Origin,
        opener: Opener,
        methods: Methods,
        device: Option<KnownDevice>,
    ) -> Result<LoginAnswer> {
        let user = opener.user;
        let account = users::find(&self.stores, user).await?;
        let due_at = account.filter(|account| account.status == UserStatus::Deleting);
        let Some(due_at) = due_at.and_then(|account| account.deletion_due_at) else {
            return self
                .open(origin, opener, methods, device)
                .await
                .map(LoginAnswer::Tokens);
        };
        let state = State {
            password_changed_at: opener.password_changed_at,
            by_factor: opener.by_factor,
            ..State::of_device(device)
        };
        let challenge = NewChallenge {
            purpose: ChallengePurpose::Restore,
            user: Some(user),
            session: None,
            methods,
            state: serde_json::to_value(state).map_err(Error::internal)?,
            lifetime: self.lifetimes.challenge,
        };
        let reason = "a challenge changes nothing; what answers it is audited";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        let challenge = challenges::begin(&mut unit, &challenge).await?;
        unit.commit().await?;
        Ok(LoginAnswer::PendingDeletion(PendingDeletion {
            challenge: challenge.reveal(),
            due_at,
            expires_in: self.lifetimes.challenge,
        }))
    }

    /// Restores the account of a login that was asked whether it is to be, and opens the session.
    pub async fn restore(&self, origin: &Origin, challenge: &str) -> Result<SessionTokens> {
        // An account is locked before its challenge.
        let owner = challenges::owner(&self.stores, challenge, ChallengePurpose::Restore).await?;
        let user = owner.ok_or_else(unknown_challenge)?;
        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        let account = users::find_locked(&mut unit, user).await?;
        let challenge = challenges::take(&mut unit, challenge, ChallengePurpose::Restore).await?;
        let challenge = challenge.ok_or_else(unknown_challenge)?;
        let state: State = serde_json::from_value(challenge.state).map_err(Error::internal)?;
        let is_deleting = account.is_some_and(|account| account.status == UserStatus::Deleting);
        // Whatever changes the password ends what is under way.
        if !is_deleting
            || users::password_changed_at(&mut unit, user).await? != state.password_changed_at
        {
            return Err(unknown_challenge());
        }
        restore(&mut unit, user).await?;
        unit.commit().await?;
        let (password_changed_at, by_factor) = (state.password_changed_at, state.by_factor);
        let opener = Opener {
            user,
            password_changed_at,
            by_factor,
        };
        self.open(origin, opener, challenge.methods, state.known_device())
            .await
    }
}
