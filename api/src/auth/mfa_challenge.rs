//! The question for a second factor.

use plinth_core::auth::Factor;
use poem_openapi::{Enum, Object};

use crate::http::json::JsonObject;

/// A way to complete the challenge.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum MfaMethod {
    /// `code`: what an authenticator app shows.
    Totp,
    /// `recovery_code`: one of those that were given out.
    RecoveryCode,
    /// `credential`: what `navigator.credentials.get` gives for `passkey_options`.
    Passkey,
}

impl From<Factor> for MfaMethod {
    fn from(factor: Factor) -> Self {
        match factor {
            Factor::Totp => Self::Totp,
            Factor::RecoveryCode => Self::RecoveryCode,
            Factor::Passkey => Self::Passkey,
        }
    }
}

/// A second factor is needed.
#[derive(Debug, Object)]
pub(crate) struct MfaChallenge {
    /// Always true.
    mfa_required: bool,
    /// Given back with the second factor.
    challenge: String,
    /// What would complete it.
    methods: Vec<MfaMethod>,
    /// The options of `navigator.credentials.get`, where a passkey would.
    passkey_options: Option<JsonObject>,
    /// Seconds until the challenge expires.
    expires_in: u64,
}

impl From<plinth_core::auth::MfaChallenge> for MfaChallenge {
    fn from(challenge: plinth_core::auth::MfaChallenge) -> Self {
        Self {
            mfa_required: true,
            challenge: challenge.token,
            methods: challenge.factors.into_iter().map(MfaMethod::from).collect(),
            passkey_options: challenge.passkey_request.and_then(JsonObject::of),
            expires_in: challenge.expires_in.as_secs(),
        }
    }
}
