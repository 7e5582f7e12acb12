//! POST /v1/auth/logout

use plinth_core::Error;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem::http::{HeaderMap, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaResponse, MetaResponses, Registry};
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::http::body::OptionalBody;
use crate::http::browser::{self, Pages};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Asking, Identity, session_required};

pub(crate) struct Logout {
    pub(super) auth: Auth,
    pub(super) pages: Pages,
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

/// 204, with what makes a browser forget its session if it has one.
pub(crate) struct LoggedOut {
    pub(crate) forgets: bool,
}

impl IntoResponse for LoggedOut {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .status(poem::http::StatusCode::NO_CONTENT)
            .finish();
        if self.forgets {
            for cookie in browser::forget() {
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

/// The session to end, for a program whose access token has expired.
#[derive(Object)]
struct LogoutRequest {
    /// The refresh token of the session. A browser has it in its cookie.
    #[oai(validator(max_length = 256))]
    refresh_token: Option<String>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Logout {
    /// Log out
    ///
    /// Ends the session of the access token, and that of the refresh token in the body or in the browser's cookie: the very
    /// next request with their tokens is refused. The access token may have expired if there is a refresh token. A browser
    /// is made to forget its session in any case. A session that has ended already is no error.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        asking: Asking,
        origin: RequestOrigin,
        headers: &HeaderMap,
        body: OptionalBody<LogoutRequest>,
    ) -> Result<LoggedOut> {
        let browser = self.pages.browser(headers);
        // A token in the header needs no proof of the page; a cookie beside it is left alone.
        let kept = if headers.contains_key(header::AUTHORIZATION) {
            None
        } else {
            browser.refresh_token(|token| self.auth.session_of_refresh_token(token))?
        };
        let given = body.0.and_then(|body| body.refresh_token);
        let has_refresh_token = given.is_some() || kept.is_some();
        match asking.0 {
            Identity::Known(known) => {
                let caller = known.caller;
                let login = caller.login().ok_or_else(session_required)?;
                self.auth.log_out(&origin.0, caller.user.id, login).await?;
            }
            Identity::Unproven => return Err(browser::foreign_page().into()),
            // It says which session is to end, but no longer proves it.
            Identity::Refused {
                code: code @ (ErrorCode::TokenExpired | ErrorCode::InvalidToken),
                detail,
            } if !has_refresh_token && !browser.has_session() => {
                return Err(Error::Unauthenticated { code, detail }.into());
            }
            Identity::Nobody | Identity::Refused { .. } => {}
        }
        for token in given.iter().chain(&kept) {
            self.auth.end_session_of(&origin.0, token).await?;
        }
        Ok(LoggedOut {
            forgets: browser.has_session(),
        })
    }
}
