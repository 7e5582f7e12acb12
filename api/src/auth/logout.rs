//! POST /v1/auth/logout

use plinth_core::auth::Auth;
use poem::http::{HeaderMap, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaResponse, MetaResponses, Registry};
use poem_openapi::{ApiResponse, OpenApi};

use crate::http::browser::{self, Pages};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{InSession, LoggedIn};

pub(crate) struct Logout {
    pub(super) auth: Auth,
    pub(super) pages: Pages,
}

/// 204, with what makes a browser forget its session if it has one.
pub(crate) struct LoggedOut {
    pub(crate) forgets: bool,
}

impl IntoResponse for LoggedOut {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(poem::http::StatusCode::NO_CONTENT).finish();
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
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Logout {
    /// Log out
    ///
    /// Ends the session: the very next request with its tokens is refused.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        caller: InSession<LoggedIn>,
        origin: RequestOrigin,
        headers: &HeaderMap,
    ) -> Result<LoggedOut> {
        self.auth.log_out(&origin.0, caller.user.id, caller.login()).await?;
        Ok(LoggedOut { forgets: self.pages.browser(headers).has_session() })
    }
}
