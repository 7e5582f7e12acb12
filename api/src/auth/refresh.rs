//! POST /v1/auth/refresh

use plinth_core::Error;
use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::rejection::Rejection;
use poem::http::HeaderMap;
use poem_openapi::{Object, OpenApi};

use super::session_tokens::{Keeping, SessionAnswer};
use crate::http::body::Body;
use crate::http::browser::{Pages, SessionLifetime};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;

pub(crate) struct Refresh {
    pub(super) auth: Auth,
    pub(super) pages: Pages,
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

/// Which session goes on.
#[derive(Object)]
struct RefreshRequest {
    /// The refresh token that was last given out; left out by a page whose browser keeps it in a cookie.
    #[oai(validator(max_length = 256))]
    refresh_token: Option<String>,
}

fn missing() -> Error {
    let detail = "The refresh token must be given, here or in its cookie.";
    Error::invalid("/refresh_token", Rejection::new("missing", detail))
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Refresh {
    /// Refresh a session's tokens
    ///
    /// The refresh token is used up. If it is presented again within two minutes and its successor was not used, it gives
    /// the same successor (a lost response, two tabs). Otherwise the session ends, since a second client must hold a copy,
    /// and the owner is notified by mail.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: Body<RefreshRequest>,
    ) -> Result<SessionAnswer> {
        let browser = self.pages.browser(headers);
        let (token, keeping) = if let Some(token) = body.0.refresh_token {
            (token, Keeping::Bearer)
        } else {
            let kept = browser.refresh_token(|token| self.auth.session_of_refresh_token(token))?;
            (kept.ok_or_else(missing)?, Keeping::Cookie)
        };
        let tokens = self.auth.refresh(&origin.0, &token).await?;
        Ok(SessionAnswer::new(tokens, keeping, &browser, self.lifetime))
    }
}
