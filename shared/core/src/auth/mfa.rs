//! The second factor of a login or a step-up: the challenge, and the proof that completes it.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::authentication::Factor;
use plinth_domain::authentication::{Method, Methods};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{SessionId, TokenId, UserId};
use plinth_domain::job::SendSecurityNotice;
use plinth_domain::notice::SecurityNotice;
use plinth_domain::one_time_code::OneTimeCode;
use plinth_domain::purpose::ChallengePurpose;
use plinth_platform::crypto::OpaqueToken;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::devices::{DeviceId, KnownDevice};
use super::opening::Opener;
use super::revocation::lock_in_session;
use super::throttle::{Attempt, Guesser};
use super::{Auth, PendingDeletion, SessionTokens, recovery};
use crate::challenges::{self, Challenge, NewChallenge};
use crate::passkeys::{PasskeyRequest, Refusal};
use crate::unit::Unit;
use crate::{Error, Result, second_factors, users};

/// Wrong proofs after which a challenge ends.
const MOST_FAILURES: i16 = 5;

/// What somebody who has proved one thing is asked for next.
#[derive(Debug)]
pub struct MfaChallenge {
    pub token: String,
    pub factors: Vec<Factor>,
    /// The options of `navigator.credentials.get`, where there is a passkey.
    pub passkey_request: Option<Value>,
    pub expires_in: Duration,
}

/// What comes of a first proof.
#[derive(Debug)]
pub enum LoginAnswer {
    Tokens(SessionTokens),
    Challenge(MfaChallenge),
    PendingDeletion(PendingDeletion),
}

/// What completes a challenge.
#[derive(Debug)]
pub enum Proof {
    Totp(OneTimeCode),
    RecoveryCode(String),
    Passkey(Value),
}

/// What a challenge has to remember.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// The server's side of the passkey's ceremony.
    pub(super) passkey: Option<Value>,
    /// The known device that the password came from.
    pub(super) device: Option<DeviceId>,
    /// A second factor was proved on that device before.
    #[serde(default)]
    pub(super) device_is_multi_factor: bool,
    /// When the password was last changed, as the login read it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) password_changed_at: Option<OffsetDateTime>,
    /// See [`Opener::by_factor`].
    #[serde(default)]
    pub(super) by_factor: bool,
    /// Nothing else than the passkey will do.
    #[serde(default)]
    pub(super) passkey_only: bool,
    /// The access token that a step-up replaces.
    pub(super) replaced: Option<Replaced>,
    /// Only factors that were added before then will do.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(super) added_before: Option<OffsetDateTime>,
    /// The hash of the mailed token that the proof completes.
    #[serde(default)]
    pub(super) mailed_token: Option<[u8; 32]>,
}

impl State {
    /// The state of a login that began on this device.
    pub(super) fn of_device(device: Option<KnownDevice>) -> Self {
        Self {
            device: device.map(|device| device.id),
            device_is_multi_factor: device.is_some_and(|device| device.multi_factor),
            ..Self::default()
        }
    }

    pub(super) fn known_device(&self) -> Option<KnownDevice> {
        self.device.map(|id| KnownDevice {
            id,
            multi_factor: self.device_is_multi_factor,
        })
    }

    /// By what wrong codes are counted: those of a session to be stepped up, or of a device on which a second factor was
    /// proved before, delay nothing else.
    fn guesser(&self, session: Option<SessionId>) -> Guesser {
        match (session, self.known_device()) {
            (Some(session), _) => Guesser::Session(session),
            (None, Some(device)) if device.multi_factor => Guesser::Device(device.id),
            (None, _) => Guesser::Stranger,
        }
    }
}

/// An access token that is not to be used any more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Replaced {
    pub(super) token: TokenId,
    #[serde(with = "time::serde::timestamp")]
    pub(super) expires_at: OffsetDateTime,
}

/// A wrong answer.
pub(super) struct Refused<'a> {
    pub(super) token: &'a str,
    pub(super) purpose: ChallengePurpose,
    pub(super) challenge: &'a Challenge,
    pub(super) reason: &'static str,
}

/// What a challenge asks for.
pub(super) struct FactorQuestion {
    pub(super) factors: Vec<Factor>,
    /// The options of `navigator.credentials.get`.
    pub(super) request: Option<Value>,
    /// The server's side of the passkey's ceremony.
    pub(super) ceremony: Option<Value>,
}

/// What a challenge is begun for.
pub(super) struct Beginning {
    pub(super) opener: Opener,
    pub(super) methods: Methods,
    pub(super) device: Option<KnownDevice>,
    /// The session to be stepped up, and its access token.
    pub(super) step_up: Option<(SessionId, Replaced)>,
    /// Whether nothing else than a passkey will do.
    pub(super) passkey_only: bool,
}

impl Auth {
    /// A challenge for the user's second factors; `None` for whoever has none.
    pub(super) async fn challenge(
        &self,
        origin: &Origin,
        begun: Beginning,
    ) -> Result<Option<MfaChallenge>> {
        let user = begun.opener.user;
        let passkey = self.passkeys.request_for(user, None).await?;
        let reason = "a challenge changes nothing; what answers it is audited";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        if let Some((session, _)) = begun.step_up {
            lock_in_session(&mut unit, user, session).await?;
        }
        let FactorQuestion {
            factors,
            request,
            ceremony,
        } = self
            .ask_for_factors(&mut unit, user, passkey, !begun.passkey_only, None)
            .await?;
        if factors.is_empty() {
            return Ok(None);
        }
        let (session, replaced) = begun.step_up.unzip();
        let passkey_only = begun.passkey_only;
        let state = State {
            passkey: ceremony,
            device: begun.device.map(|device| device.id),
            device_is_multi_factor: begun.device.is_some_and(|device| device.multi_factor),
            password_changed_at: begun.opener.password_changed_at,
            passkey_only,
            replaced,
            ..State::default()
        };
        let challenge = NewChallenge {
            purpose: if session.is_some() {
                ChallengePurpose::StepUp
            } else {
                ChallengePurpose::SecondFactor
            },
            user: Some(user),
            session,
            methods: begun.methods,
            state: serde_json::to_value(state).map_err(Error::internal)?,
            lifetime: self.lifetimes.challenge,
        };
        let token = challenges::begin(&mut unit, &challenge).await?;
        unit.commit().await?;
        Ok(Some(self.mfa_challenge(&token, factors, request)))
    }

    /// What the user can be asked for; of the factors added before `before`, where it is given.
    pub(super) async fn ask_for_factors(
        &self,
        unit: &mut Unit,
        user: UserId,
        passkey: Option<PasskeyRequest>,
        by_code: bool,
        before: Option<OffsetDateTime>,
    ) -> Result<FactorQuestion> {
        let available = second_factors::available(unit, user, before).await?;
        let factors = [
            (by_code && available.totp, Factor::Totp),
            (by_code && available.recovery_codes, Factor::RecoveryCode),
            (passkey.is_some(), Factor::Passkey),
        ];
        let factors = factors
            .into_iter()
            .filter_map(|(has, factor)| has.then_some(factor))
            .collect();
        let (request, ceremony) = passkey.map(|asked| (asked.public_key, asked.state)).unzip();
        Ok(FactorQuestion {
            factors,
            request,
            ceremony,
        })
    }

    /// A challenge as its client is given it.
    pub(super) fn mfa_challenge(
        &self,
        token: &OpaqueToken,
        factors: Vec<Factor>,
        passkey_request: Option<Value>,
    ) -> MfaChallenge {
        MfaChallenge {
            token: token.reveal(),
            factors,
            passkey_request,
            expires_in: self.lifetimes.challenge,
        }
    }

    /// Completes a login, or a step-up, with a second factor.
    pub async fn prove_second_factor(
        &self,
        origin: &Origin,
        token: &str,
        proof: Proof,
    ) -> Result<LoginAnswer> {
        let reason = "the session that a right answer opens or renews is audited by its own change";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        let login = challenges::hold(&mut unit, token, ChallengePurpose::SecondFactor).await?;
        let (challenge, purpose) = match login {
            Some(challenge) => (challenge, ChallengePurpose::SecondFactor),
            None => match challenges::hold(&mut unit, token, ChallengePurpose::StepUp).await? {
                Some(challenge) => (challenge, ChallengePurpose::StepUp),
                None => return Err(unknown_challenge()),
            },
        };
        let user = challenge.user.ok_or_else(unknown_challenge)?;
        let state: State =
            serde_json::from_value(challenge.state.clone()).map_err(Error::internal)?;
        let attempt = Attempt::second_factor(user, state.guesser(challenge.session));
        self.throttle.begin(&attempt).await?;
        let proved = match self.prove(&mut unit, user, &state, proof).await {
            Ok(Ok(method)) => method,
            Ok(Err(reason)) => {
                let refused = Refused {
                    token,
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
        };
        challenges::take(&mut unit, token, purpose).await?;
        recovery::remove_suspended(&mut unit, user).await?;
        // False if an old recovery code was proved, and every app and passkey was suspended.
        let by_factor = users::has_second_factor(&mut unit, user).await?;
        unit.commit().await?;
        self.throttle.succeeded(&attempt).await;
        // What was so at the password may not be so any more.
        let known = users::credentials_of(&self.stores, user)
            .await?
            .ok_or_else(unknown_challenge)?;
        self.admit(origin, &known).await?;
        let methods = challenge.methods.with(proved).with(Method::MultiFactor);
        let opener = Opener {
            user,
            password_changed_at: state.password_changed_at,
            by_factor,
        };
        if let (Some(session), Some(replaced)) = (challenge.session, state.replaced) {
            return self
                .renew(origin, opener, session, &methods, replaced)
                .await
                .map(LoginAnswer::Tokens);
        }
        self.open_or_ask(origin, opener, methods, state.known_device())
            .await
    }

    /// By what the user has proved who he is, or why he has not.
    pub(super) async fn prove(
        &self,
        unit: &mut Unit,
        user: UserId,
        state: &State,
        proof: Proof,
    ) -> Result<Result<Method, &'static str>> {
        let (holds, method) = match (proof, &state.passkey) {
            (Proof::Totp(_) | Proof::RecoveryCode(_), _) if state.passkey_only => {
                return Ok(Err("factor_not_asked_for"));
            }
            (Proof::Totp(code), _) => (
                self.second_factors
                    .verify_totp(unit, user, &code, state.added_before)
                    .await?,
                Method::OneTimeCode,
            ),
            (Proof::RecoveryCode(code), _) => (
                self.second_factors
                    .use_recovery_code(unit, user, &code, state.added_before)
                    .await?,
                Method::RecoveryCode,
            ),
            (Proof::Passkey(credential), Some(ceremony)) => {
                let checked = self
                    .passkeys
                    .verify_for(unit, user, ceremony, &credential, state.added_before)
                    .await?;
                return Ok(checked.map(|()| Method::Passkey).map_err(Refusal::reason));
            }
            (Proof::Passkey(_), None) => return Ok(Err("factor_not_asked_for")),
        };
        Ok(if holds { Ok(method) } else { Err("wrong_code") })
    }

    /// Notes the refusal; after several the challenge ends, and the owner is told. Returns what the client is answered.
    pub(super) async fn refuse_factor(
        &self,
        mut unit: Unit,
        refused: Refused<'_>,
        attempt: &Attempt,
    ) -> Result<Error> {
        let Refused {
            token,
            purpose,
            challenge,
            reason,
        } = refused;
        let failures = self.throttle.failed(attempt).await;
        if challenge.failures + 1 >= MOST_FAILURES {
            challenges::take(&mut unit, token, purpose).await?;
        } else {
            challenges::fail(&mut unit, token).await?;
        }
        let target = challenge.user.map_or(Target::None, Target::User);
        let details = json!({ "failures": challenge.failures + 1, "reason": reason });
        unit.audit_with(
            Action::SecondFactorRefused,
            target,
            Outcome::Refused,
            details,
        )
        .await?;
        if let Some((user_id, failures)) = challenge.user.zip(failures) {
            let notice = SecurityNotice::LoginsFailed { failures };
            unit.enqueue(&SendSecurityNotice { user_id, notice })
                .await?;
        }
        unit.commit().await?;
        Ok(Error::Unauthenticated {
            code: ErrorCode::InvalidSecondFactor,
            detail: "The second factor is wrong, or was used before.",
        })
    }
}

/// The account has a second factor that cannot be asked for here: a passkey, without the domain that it belongs to.
pub(super) fn factor_unavailable() -> Error {
    Error::Forbidden {
        code: ErrorCode::SecondFactorUnavailable,
        detail: "The account's second factor cannot be asked for by this installation.".to_owned(),
    }
}

pub(super) fn unknown_challenge() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::InvalidChallenge,
        detail: "The challenge is unknown, used or expired; begin again.",
    }
}
