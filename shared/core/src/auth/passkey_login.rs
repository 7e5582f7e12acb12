//! Login by a passkey alone, which says by itself whose it is.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::authentication::{Method, Methods};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::purpose::ChallengePurpose;
use serde_json::{Value, json};

use super::opening::Opener;
use super::{Auth, LoginAnswer, recovery};
use crate::challenges::{self, NewChallenge};
use crate::passkeys::Ceremony;
use crate::unit::Unit;
use crate::{Error, Result, users};

/// What somebody who logs in by passkey presents.
#[derive(Debug)]
pub struct PasskeyLogin {
    /// The challenge of the ceremony.
    pub challenge: String,
    /// What the browser made of it (`AuthenticationResponseJSON`).
    pub credential: Value,
    /// What an earlier login on this device was given.
    pub device_token: Option<String>,
}

impl Auth {
    /// Asks whoever wants to log in for a passkey.
    pub async fn start_passkey_login(&self, origin: &Origin) -> Result<Ceremony> {
        let request = self.passkeys.request_of_anybody()?;
        let reason = "a challenge changes nothing; what answers it is audited";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        let challenge = NewChallenge {
            purpose: ChallengePurpose::PasskeyLogin,
            user: None,
            session: None,
            methods: Methods::default(),
            state: request.state,
            lifetime: self.lifetimes.challenge,
        };
        let challenge = challenges::begin(&mut unit, &challenge).await?;
        unit.commit().await?;
        Ok(Ceremony {
            challenge,
            public_key: request.public_key,
        })
    }

    /// Opens a session. Whatever is wrong with the proof, the answer is the same; the audit log knows more.
    pub async fn finish_passkey_login(
        &self,
        origin: &Origin,
        request: PasskeyLogin,
    ) -> Result<LoginAnswer> {
        let reason = "the session that a right answer opens is audited by its own change";
        let mut unit = Unit::begin_exempt(&self.stores, origin, reason).await?;
        let proved = match challenges::take(
            &mut unit,
            &request.challenge,
            ChallengePurpose::PasskeyLogin,
        )
        .await?
        {
            Some(challenge) => {
                let proof =
                    self.passkeys
                        .verify_anybody(&mut unit, &challenge.state, &request.credential);
                proof
                    .await?
                    .map_err(|(refusal, user)| (refusal.reason(), user))
            }
            None => Err(("unknown_challenge", None)),
        };
        let mut known = None;
        if let Ok(user) = proved {
            // While the passkey is held: what a recovery changes from now on is noticed when the session is opened.
            known = users::credentials_in(&mut unit, user).await?;
            recovery::remove_suspended(&mut unit, user).await?;
        } else if let Err((reason, user)) = proved {
            let details = json!({ "reason": reason });
            let target = user.map_or(Target::None, Target::User);
            unit.audit_with(Action::SessionRefused, target, Outcome::Refused, details)
                .await?;
        }
        // In any case: a challenge is answered once, rightly or not.
        unit.commit().await?;
        let known = known.ok_or_else(wrong_passkey)?;
        self.admit(origin, &known).await?;
        let device = self.known_device(Some(&known), request.device_token.as_deref());
        // A passkey verifies its user, so that it is two factors at once.
        let methods = Methods::of(&[Method::Passkey, Method::MultiFactor]);
        let opener = Opener {
            by_factor: true,
            ..(&known).into()
        };
        self.open_or_ask(origin, opener, methods, device).await
    }
}

fn wrong_passkey() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::InvalidPasskey,
        detail: "The passkey is not known here, or its answer is not one to this challenge.",
    }
}
