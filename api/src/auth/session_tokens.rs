//! What a client gets of a session.

use poem_openapi::Object;
use uuid::Uuid;

/// The tokens of a session.
#[derive(Object)]
pub(super) struct SessionTokens {
    /// Sent with every request as `Authorization: Bearer ...`.
    access_token: String,
    /// Always `Bearer`.
    token_type: String,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// Gives the next tokens, once; keep it secret.
    refresh_token: String,
    session_id: Uuid,
}

impl From<plinth_core::auth::SessionTokens> for SessionTokens {
    fn from(tokens: plinth_core::auth::SessionTokens) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: "Bearer".to_owned(),
            expires_in: tokens.expires_in.as_secs(),
            refresh_token: tokens.refresh_token,
            session_id: tokens.session.0,
        }
    }
}
