//! POST /v1/auth/logout

use plinth_core::auth::Auth;
use poem_openapi::{ApiResponse, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, LoggedIn};

pub(crate) struct Logout {
    pub(super) auth: Auth,
}

#[derive(ApiResponse)]
enum LoggedOut {
    /// The session has ended.
    #[oai(status = 204)]
    LoggedOut,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Logout {
    /// Log out
    ///
    /// Ends the session: the very next request with its tokens is refused.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Allowed<LoggedIn>, origin: RequestOrigin) -> Result<LoggedOut> {
        self.auth.log_out(&origin.0, &caller).await?;
        Ok(LoggedOut::LoggedOut)
    }
}
