//! What a client gets of a session: tokens in the body, or in a browser's cookies.

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
use crate::http::browser::{Browser, Kept, SessionLifetime};

/// Where a client keeps the tokens of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum Keeping {
    /// The body has them and each request carries the access token: programs, apps.
    #[default]
    Bearer,
    /// Cookies that no script can read: pages. Unsafe requests then need the header `X-CSRF-Token`.
    Cookie,
}

/// The tokens of a session.
#[derive(Debug, Clone, Object)]
pub(crate) struct SessionTokens {
    /// Sent with every request as `Authorization: Bearer ...`; null where a cookie has it.
    access_token: Option<String>,
    /// `Bearer` or `Cookie`.
    token_type: String,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// Gives the next tokens, once; keep it secret. Null where a cookie has it, and where the one that the client has
    /// stays in force.
    refresh_token: Option<String>,
    session_id: Uuid,
    /// After a login: present it with the next one, so that guesses of strangers do not slow it down. Null where a
    /// cookie has it.
    device_token: Option<String>,
    /// What a page sends as `X-CSRF-Token` with every unsafe request; null without cookies.
    csrf_token: Option<String>,
}

/// The answer that opens or renews a session.
pub(crate) struct SessionAnswer {
    body: SessionTokens,
    cookies: Vec<header::HeaderValue>,
}

impl SessionAnswer {
    pub(crate) fn new(
        tokens: plinth_core::auth::SessionTokens,
        keeping: Keeping,
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
        match keeping {
            Keeping::Bearer => Self {
                body: SessionTokens {
                    access_token: Some(tokens.access_token),
                    refresh_token: tokens.refresh_token,
                    device_token: tokens.device_token,
                    ..body
                },
                cookies: Vec::new(),
            },
            Keeping::Cookie => {
                let kept = Kept {
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
                    cookies: kept.cookies().collect(),
                }
            }
        }
    }
}

/// Ends the session that a browser had before this one.
pub(crate) async fn end_replaced(
    auth: &Auth,
    origin: &Origin,
    browser: &Browser<'_>,
    keeping: Keeping,
    answer: &LoginAnswer,
) -> Result<(), Error> {
    match (answer, browser.replaced_refresh_token()) {
        (LoginAnswer::Tokens(next), Some(replaced)) if keeping == Keeping::Cookie => {
            auth.end_replaced(origin, replaced, next.session).await
        }
        _ => Ok(()),
    }
}

/// What comes of a proof: the session, the question for a second factor, or the question whether a deleted account is to be
/// restored.
pub(crate) enum LoginResponse {
    Session(SessionAnswer),
    Challenge(MfaChallenge),
    PendingDeletion(PendingDeletion),
}

/// The tokens, the challenge for a second factor, or the state of an account that is deleted.
#[derive(Union)]
enum LoginBody {
    Tokens(SessionTokens),
    Challenge(MfaChallenge),
    PendingDeletion(PendingDeletion),
}

/// The account is deleted and can be restored: give the challenge to `/v1/auth/restore`.
#[derive(Object)]
pub(crate) struct PendingDeletion {
    /// Always true.
    deletion_pending: bool,
    /// Restores the account and opens a session, once.
    challenge: String,
    /// When the account is deleted for good.
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
        keeping: Keeping,
        browser: &Browser<'_>,
        lifetime: SessionLifetime,
    ) -> Self {
        match answer {
            LoginAnswer::Tokens(tokens) => {
                Self::Session(SessionAnswer::new(tokens, keeping, browser, lifetime))
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
        Response::builder()
            .content_type("application/json; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-store")
            .body(body)
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

impl Payload for SessionAnswer {
    const CONTENT_TYPE: &'static str = Json::<SessionTokens>::CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        SessionTokens::schema_ref()
    }
}

impl IntoResponse for SessionAnswer {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .content_type("application/json; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-store")
            .body(self.body.to_json_string());
        for cookie in self.cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl ApiResponse for SessionAnswer {
    fn meta() -> MetaResponses {
        Json::<SessionTokens>::meta()
    }

    fn register(registry: &mut Registry) {
        SessionTokens::register(registry);
    }
}
