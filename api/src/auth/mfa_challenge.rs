//! The question for a second factor.

use plinth_domain::authentication::Factor;
use poem_openapi::Object;

use crate::http::json::JsonObject;

/// A second factor is needed.
#[derive(Debug, Object)]
pub(crate) struct MfaChallenge {
    /// Always true.
    mfa_required: bool,
    /// Given back with the second factor.
    challenge: String,
    /// What would complete it: `code` with what an authenticator app shows (`totp`), `recovery_code` with one of those that
    /// were given out, or `credential` with what `navigator.credentials.get` gives for `passkey_options` (`passkey`).
    methods: Vec<Factor>,
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
            methods: challenge.factors,
            passkey_options: challenge.passkey_request.and_then(JsonObject::of),
            expires_in: challenge.expires_in.as_secs(),
        }
    }
}
