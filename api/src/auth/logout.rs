//! POST /v1/auth/logout

use plinth_core::Error;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem::http::{HeaderMap, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaResponse, MetaResponses, Registry};
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::OptionalBody;
use crate::http::browser::{self, CsrfGuard};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Identity, OptionalCaller, session_required};

pub(crate) struct Logout {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
}

impl Operation for Logout {
    const REFUSALS: Refusals = &[&[
        (401, ErrorCode::InvalidToken),
        (401, ErrorCode::TokenExpired),
        (403, ErrorCode::CsrfFailed),
        (403, ErrorCode::SessionRequired),
    ]];
    const IS_OPEN: bool = true;
}

/// A 204 response that deletes the session cookies of a browser.
pub(crate) struct LoggedOut {
    pub(crate) clears_cookies: bool,
}

impl IntoResponse for LoggedOut {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .status(poem::http::StatusCode::NO_CONTENT)
            .finish();
        if self.clears_cookies {
            for cookie in browser::clear_session_cookies() {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        response
    }
}

impl ApiResponse for LoggedOut {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "The session has ended.",
            status: Some(204),
            status_range: None,
            content: vec![],
            headers: vec![],
        };
        MetaResponses {
            responses: vec![response],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// The session to end, for a client whose access token has expired.
#[derive(Object)]
struct LogoutRequest {
    /// The refresh token of the session. A browser has it in a cookie.
    #[oai(validator(max_length = 256))]
    refresh_token: Option<String>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Logout {
    /// Log out
    ///
    /// Ends the session of the access token, and the session of the refresh token in the body or in
    /// the cookie. Their tokens are refused from the next request on. The access token may have
    /// expired if there is a refresh token. The session cookies of a browser are always deleted. A
    /// session that has already ended is not an error.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        caller: OptionalCaller,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: OptionalBody<LogoutRequest>,
    ) -> Result<LoggedOut> {
        let browser = self.csrf.browser(headers);
        // A token in the header needs no CSRF check, and a cookie next to it is left alone.
        let cookie_token = if headers.contains_key(header::AUTHORIZATION) {
            None
        } else {
            browser.refresh_token(|token| self.auth.session_of_refresh_token(token))?
        };
        let given = body.0.and_then(|body| body.refresh_token);
        let has_refresh_token = given.is_some() || cookie_token.is_some();
        match caller.0 {
            Identity::Authenticated(authenticated) => {
                let caller = authenticated.caller;
                let login = caller.login().ok_or_else(session_required)?;
                self.auth.log_out(&origin.0, caller.user.id, login).await?;
            }
            Identity::CsrfFailed => return Err(browser::csrf_failed().into()),
            // The token names the session to end, but does not prove it any more.
            Identity::Rejected {
                code: code @ (ErrorCode::TokenExpired | ErrorCode::InvalidToken),
                detail,
            } if !has_refresh_token && !browser.has_session() => {
                return Err(Error::Unauthenticated { code, detail }.into());
            }
            Identity::Anonymous | Identity::Rejected { .. } => {}
        }
        for token in given.iter().chain(&cookie_token) {
            self.auth.end_session_of(&origin.0, token).await?;
        }
        Ok(LoggedOut {
            clears_cookies: browser.has_session(),
        })
    }
}
