//! POST /v1/auth/refresh

use plinth_core::Error;
use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::rejection::Rejection;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::{SessionResponse, TokenDelivery};
use crate::http::body::Body;
use crate::http::browser::{CsrfGuard, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct Refresh {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
    pub(super) lifetime: SessionLifetime,
}

impl Operation for Refresh {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::InvalidRefreshToken),
        (403, ErrorCode::CsrfFailed),
    ]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Refresh;
}

/// The session to refresh.
#[derive(Object)]
struct RefreshRequest {
    /// The latest refresh token. Omit it if the browser has it in a cookie.
    #[oai(validator(max_length = 256))]
    refresh_token: Option<String>,
}

fn missing_refresh_token() -> Error {
    let detail = "Expected the refresh token, here or in its cookie.";
    Error::invalid("/refresh_token", Rejection::new("missing", detail))
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Refresh {
    /// Refresh the tokens of a session
    ///
    /// A refresh token works once. If it is presented again within two minutes and its successor
    /// was not used, the response has the same successor (for a lost response or two tabs).
    /// Otherwise the session ends, because a second client must have a copy, and the user is
    /// notified by mail.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<RefreshRequest>,
    ) -> Result<SessionResponse> {
        let browser = self.csrf.browser(headers);
        let (token, delivery) = if let Some(token) = body.0.refresh_token {
            (token, TokenDelivery::Bearer)
        } else {
            let cookie_token =
                browser.refresh_token(|token| self.auth.session_of_refresh_token(token))?;
            (
                cookie_token.ok_or_else(missing_refresh_token)?,
                TokenDelivery::Cookie,
            )
        };
        let tokens = self.auth.refresh(&origin.0, &token).await?;
        Ok(SessionResponse::new(
            tokens,
            delivery,
            &browser,
            self.lifetime,
        ))
    }
}
