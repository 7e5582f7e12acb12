//! A change of address that is undone from the address before it, or can no longer be, because its owner waived that.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::authentication::Methods;
use plinth_domain::email::Email;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::job::{SendPasswordResetMail, SendSecurityNotice};
use plinth_domain::notice::SecurityNotice;
use plinth_domain::purpose::{ChallengePurpose, TokenPurpose};
use plinth_domain::user::UserStatus;
use plinth_platform::crypto::OpaqueToken;
use time::OffsetDateTime;

use super::email_change::Redeemed;
use super::mailed_token::unknown_token;
use super::mfa::{
    FactorQuestion, MfaChallenge, Proof, Refused, State, factor_unavailable, unknown_challenge,
};
use super::throttle::{Attempt, Guesser};
use super::tokens::{self, KeptResets};
use super::{Auth, SessionCaller, deletion, recovery, sessions};
use crate::challenges::{self, NewChallenge};
use crate::second_factors::RemainingFactor;
use crate::unit::Unit;
use crate::{Error, Result, users};

/// What comes of a link that undoes a change of address.
#[derive(Debug)]
pub enum UndoAnswer {
    /// It is undone; these second factors remain.
    Undone(Vec<RemainingFactor>),
    /// A second factor of before the change is asked for.
    Challenge(MfaChallenge),
}

impl Auth {
    /// Gives the account back the address that it had, and ends what an intruder may have: see [`recovery`]. The password
    /// no longer works; the mail to choose another one is on its way. If the account has a second factor that is older than
    /// the change, it is asked for first.
    pub async fn undo_email_change(&self, origin: &Origin, token: &str) -> Result<UndoAnswer> {
        let token = OpaqueToken::parse(token).ok_or_else(unknown_token)?;
        let now = self.stores.clock.now();
        let found = tokens::find(
            &self.stores.db,
            &token.hash(),
            TokenPurpose::UndoEmailChange,
            now,
        )
        .await?;
        let (user, changed_at) = found.ok_or_else(unknown_token)?;
        let before = self.trusted_before(changed_at);
        let passkey = self.passkeys.request_for(user, Some(before)).await?;
        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        users::lock(&mut unit, &[user]).await?;
        if recovery::has_factor_before(&mut unit, user, before).await? {
            let FactorQuestion {
                factors,
                request,
                ceremony,
            } = self
                .ask_for_factors(&mut unit, user, passkey, true, Some(before))
                .await?;
            if factors.is_empty() {
                return Err(factor_unavailable());
            }
            let state = State {
                passkey: ceremony,
                added_before: Some(before),
                mailed_token: Some(token.hash()),
                ..State::default()
            };
            let challenge = NewChallenge {
                purpose: ChallengePurpose::UndoEmailChange,
                user: Some(user),
                session: None,
                methods: Methods::default(),
                state: serde_json::to_value(state).map_err(Error::internal)?,
                lifetime: self.lifetimes.challenge,
            };
            let token = challenges::begin(&mut unit, &challenge).await?;
            unit.exempt("a challenge changes nothing; what answers it is audited")
                .commit()
                .await?;
            return Ok(UndoAnswer::Challenge(
                self.mfa_challenge(&token, factors, request),
            ));
        }
        let redeemed = self
            .redeem_for_address(unit, user, &token.hash(), TokenPurpose::UndoEmailChange)
            .await?;
        self.undo(redeemed).await.map(UndoAnswer::Undone)
    }

    /// Undoes the change of address for whoever proves a second factor of before it.
    pub async fn prove_email_undo(
        &self,
        origin: &Origin,
        challenge_token: &str,
        proof: Proof,
    ) -> Result<Vec<RemainingFactor>> {
        let purpose = ChallengePurpose::UndoEmailChange;
        // An account is locked before its challenge.
        let owner = challenges::owner(&self.stores, challenge_token, purpose).await?;
        let user = owner.ok_or_else(unknown_challenge)?;
        let mut unit = Unit::begin(&self.stores, &origin.by(user)).await?;
        users::lock(&mut unit, &[user]).await?;
        let challenge = challenges::hold(&mut unit, challenge_token, purpose).await?;
        let challenge = challenge.ok_or_else(unknown_challenge)?;
        let state: State =
            serde_json::from_value(challenge.state.clone()).map_err(Error::internal)?;
        let mailed = state.mailed_token.ok_or_else(unknown_challenge)?;
        let attempt = Attempt::second_factor(user, Guesser::UndoLink);
        self.throttle.begin(&attempt).await?;
        match self.prove(&mut unit, user, &state, proof).await {
            Ok(Ok(_)) => {}
            Ok(Err(reason)) => {
                let refused = Refused {
                    token: challenge_token,
                    purpose,
                    challenge: &challenge,
                    reason,
                };
                return Err(self.refuse_factor(unit, refused, &attempt).await?);
            }
            Err(error) => {
                self.throttle.undecided(&attempt).await;
                return Err(error);
            }
        }
        challenges::take(&mut unit, challenge_token, purpose).await?;
        let redeemed = self
            .redeem_for_address(unit, user, &mailed, TokenPurpose::UndoEmailChange)
            .await?;
        let remaining = self.undo(redeemed).await?;
        self.throttle.succeeded(&attempt).await;
        Ok(remaining)
    }

    async fn undo(&self, redeemed: Redeemed) -> Result<Vec<RemainingFactor>> {
        let Redeemed {
            mut unit,
            account,
            email,
            asked_at: changed_at,
        } = redeemed;
        let user = account.id;
        let removed = Email::parse_known(&account.email).map_err(Error::internal)?;
        users::set_email(&mut unit, user, &email).await?;
        unit.audit(
            Action::EmailChangeUndone,
            Target::User(user),
            Outcome::Success,
        )
        .await?;
        // An intruder may have deleted the account as well.
        if account.status == UserStatus::Deleting {
            deletion::restore(&mut unit, user).await?;
        }
        users::begin_recovery(&mut unit, user, self.trusted_before(changed_at)).await?;
        let since = self.trusted_before(changed_at);
        recovery::end_access(&mut unit, user, KeptResets::To(&email), since).await?;
        recovery::remove_added_since(&mut unit, user, changed_at).await?;
        users::close_email_undos(&mut unit, user, &email, changed_at).await?;
        unit.enqueue(&SendPasswordResetMail {
            email: email.as_str().to_owned(),
        })
        .await?;
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice: SecurityNotice::EmailChangeUndone,
        })
        .await?;
        if removed.key() != email.key() {
            let notice = SecurityNotice::EmailRemoved {
                email: account.email,
            };
            unit.enqueue(&SendSecurityNotice {
                user_id: user,
                notice,
            })
            .await?;
        }
        let remaining = recovery::remaining(&mut unit, user).await?;
        unit.commit().await?;
        Ok(remaining)
    }

    /// Gives up every way to undo a change of the caller's address, for an owner who moves because the old mailbox is
    /// compromised.
    ///
    /// Needs a session of two factors, and that no factor is younger than the recovery window: whoever steals a session and
    /// adds a factor of their own must not be able to make a change of address final.
    pub async fn waive_email_undo(&self, origin: &Origin, caller: SessionCaller<'_>) -> Result<()> {
        let user = caller.user_id();
        let mut unit = caller.begin(&self.stores, origin).await?;
        let at = unit.at();
        let session = sessions::hold(unit.connection(), caller.session(), at).await?;
        if !session.is_some_and(|session| session.methods.are_multi_factor()) {
            let detail = "Log in, or step up, with a second factor first.".to_owned();
            return Err(Error::Forbidden {
                code: ErrorCode::SecondFactorRequired,
                detail,
            });
        }
        let trusted_before = self.trusted_before(at);
        let factors = recovery::remaining(&mut unit, user).await?;
        if factors.is_empty()
            || factors
                .iter()
                .any(|factor| factor.added_at >= trusted_before)
        {
            let detail =
                "A second factor was added lately; until it is older, the change can be undone."
                    .to_owned();
            return Err(Error::Conflict {
                code: ErrorCode::SecondFactorTooNew,
                detail,
            });
        }
        if users::waive_email_undos(&mut unit, user).await?.is_none() {
            return Err(Error::NotFound);
        }
        tokens::void_undos(unit.connection(), user).await?;
        unit.audit(
            Action::EmailUndoWaived,
            Target::User(user),
            Outcome::Success,
        )
        .await?;
        unit.enqueue(&SendSecurityNotice {
            user_id: user,
            notice: SecurityNotice::EmailUndoWaived,
        })
        .await?;
        unit.commit().await
    }

    /// Second factors that were added before this are trusted by a recovery of what happened at `moment`: an intruder may
    /// have added one of their own just before it.
    pub(super) fn trusted_before(&self, moment: OffsetDateTime) -> OffsetDateTime {
        moment - self.lifetimes.recovery_window
    }
}
