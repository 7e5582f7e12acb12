//! The challenge for a second factor.

use plinth_domain::authentication::Factor;
use poem_openapi::Object;

use crate::http::json::JsonObject;

/// A challenge for a second factor.
#[derive(Debug, Object)]
pub(crate) struct MfaChallenge {
    /// Always true.
    mfa_required: bool,
    /// Send it back together with the second factor.
    challenge: String,
    /// The second factors that complete the challenge.
    methods: Vec<Factor>,
    /// The options for `navigator.credentials.get`, if a passkey completes the challenge.
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
            passkey_options: challenge.passkey_request.and_then(JsonObject::from_value),
            expires_in: challenge.expires_in.as_secs(),
        }
    }
}
