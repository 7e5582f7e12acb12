//! The tokens of a session in a response: in the body, or in cookies.

use plinth_core::Error;
use plinth_core::auth::{Auth, DEVICE_LIFETIME, LoginAnswer};
use plinth_domain::audit::Origin;
use poem::http::header;
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON as _, Type as _};
use poem_openapi::{ApiResponse, Enum, Object, Union};
use time::OffsetDateTime;
use uuid::Uuid;

use super::mfa_challenge::MfaChallenge;
use crate::http::browser::{Browser, SessionCookies, SessionLifetime};
use crate::http::json::private_json;

/// How the tokens of a session are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum TokenDelivery {
    /// In the body. Each request carries the access token. For programs and apps.
    #[default]
    Bearer,
    /// In cookies that scripts cannot read. Unsafe requests need the header `X-CSRF-Token`. For
    /// pages.
    Cookie,
}

/// The tokens of a session.
#[derive(Debug, Clone, Object)]
pub(crate) struct SessionTokens {
    /// Send it with every request as `Authorization: Bearer ...`. Null if a cookie carries it.
    access_token: Option<String>,
    /// `Bearer` or `Cookie`.
    token_type: String,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// Returns the next tokens, once. Keep it secret. Null if a cookie carries it, and if the
    /// client's current one stays valid.
    refresh_token: Option<String>,
    session_id: Uuid,
    /// After a login: send it with the next login from this device, so that failed logins elsewhere
    /// do not delay it. Null if a cookie carries it.
    device_token: Option<String>,
    /// Send it as `X-CSRF-Token` with every unsafe request. Null without cookies.
    csrf_token: Option<String>,
}

/// The response that opens or renews a session.
pub(crate) struct SessionResponse {
    body: SessionTokens,
    cookies: Vec<header::HeaderValue>,
}

impl SessionResponse {
    pub(crate) fn new(
        tokens: plinth_core::auth::SessionTokens,
        delivery: TokenDelivery,
        browser: &Browser<'_>,
        lifetime: SessionLifetime,
    ) -> Self {
        let (expires_in, session) = (tokens.expires_in, tokens.session);
        let body = SessionTokens {
            access_token: None,
            token_type: "Bearer".to_owned(),
            expires_in: expires_in.as_secs(),
            refresh_token: None,
            session_id: session.0,
            device_token: None,
            csrf_token: None,
        };
        match delivery {
            TokenDelivery::Bearer => Self {
                body: SessionTokens {
                    access_token: Some(tokens.access_token),
                    refresh_token: tokens.refresh_token,
                    device_token: tokens.device_token,
                    ..body
                },
                cookies: Vec::new(),
            },
            TokenDelivery::Cookie => {
                let cookies = SessionCookies {
                    access_token: Some((&tokens.access_token, expires_in)),
                    refresh_token: tokens
                        .refresh_token
                        .as_deref()
                        .map(|token| (token, lifetime.0)),
                    device_token: tokens
                        .device_token
                        .as_deref()
                        .map(|token| (token, DEVICE_LIFETIME.unsigned_abs())),
                };
                let csrf_token = Some(browser.csrf_token(session));
                let body = SessionTokens {
                    token_type: "Cookie".to_owned(),
                    csrf_token,
                    ..body
                };
                Self {
                    body,
                    cookies: cookies.cookies().collect(),
                }
            }
        }
    }
}

/// Ends the session that the browser had before this one.
pub(crate) async fn end_replaced_session(
    auth: &Auth,
    origin: &Origin,
    browser: &Browser<'_>,
    delivery: TokenDelivery,
    answer: &LoginAnswer,
) -> Result<(), Error> {
    match (answer, browser.replaced_refresh_token()) {
        (LoginAnswer::Tokens(next), Some(replaced)) if delivery == TokenDelivery::Cookie => {
            auth.end_replaced(origin, replaced, next.session).await
        }
        _ => Ok(()),
    }
}

/// The response to a login step: a session, a challenge for a second factor, or a challenge to
/// restore a deleted account.
pub(crate) enum LoginResponse {
    Session(SessionResponse),
    Challenge(MfaChallenge),
    PendingDeletion(PendingDeletion),
}

/// The tokens of a session, a challenge for a second factor, or the state of a deleted account.
#[derive(Union)]
enum LoginBody {
    Tokens(SessionTokens),
    Challenge(MfaChallenge),
    PendingDeletion(PendingDeletion),
}

/// A deleted account that can be restored: send the challenge to `/v1/auth/restore`.
#[derive(Object)]
pub(crate) struct PendingDeletion {
    /// Always true.
    deletion_pending: bool,
    /// Restores the account and opens a session, once.
    challenge: String,
    /// When the account is permanently deleted.
    deletion_due_at: OffsetDateTime,
    /// Seconds until the challenge expires.
    expires_in: u64,
}

impl From<plinth_core::auth::PendingDeletion> for PendingDeletion {
    fn from(pending: plinth_core::auth::PendingDeletion) -> Self {
        Self {
            deletion_pending: true,
            challenge: pending.challenge,
            deletion_due_at: pending.due_at,
            expires_in: pending.expires_in.as_secs(),
        }
    }
}

impl LoginResponse {
    pub(crate) fn new(
        answer: LoginAnswer,
        delivery: TokenDelivery,
        browser: &Browser<'_>,
        lifetime: SessionLifetime,
    ) -> Self {
        match answer {
            LoginAnswer::Tokens(tokens) => {
                Self::Session(SessionResponse::new(tokens, delivery, browser, lifetime))
            }
            LoginAnswer::Challenge(challenge) => Self::Challenge(challenge.into()),
            LoginAnswer::PendingDeletion(pending) => Self::PendingDeletion(pending.into()),
        }
    }
}

impl Payload for LoginResponse {
    const CONTENT_TYPE: &'static str = Json::<LoginBody>::CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        LoginBody::schema_ref()
    }
}

impl IntoResponse for LoginResponse {
    fn into_response(self) -> Response {
        let body = match self {
            Self::Session(session) => return session.into_response(),
            Self::Challenge(challenge) => challenge.to_json_string(),
            Self::PendingDeletion(pending) => pending.to_json_string(),
        };
        private_json(body, Vec::new())
    }
}

impl ApiResponse for LoginResponse {
    fn meta() -> MetaResponses {
        Json::<LoginBody>::meta()
    }

    fn register(registry: &mut Registry) {
        LoginBody::register(registry);
    }
}

impl Payload for SessionResponse {
    const CONTENT_TYPE: &'static str = Json::<SessionTokens>::CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        SessionTokens::schema_ref()
    }
}

impl IntoResponse for SessionResponse {
    fn into_response(self) -> Response {
        private_json(self.body.to_json_string(), self.cookies)
    }
}

impl ApiResponse for SessionResponse {
    fn meta() -> MetaResponses {
        Json::<SessionTokens>::meta()
    }

    fn register(registry: &mut Registry) {
        SessionTokens::register(registry);
    }
}
