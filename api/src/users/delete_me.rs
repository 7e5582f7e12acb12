//! DELETE /v1/me

use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem::http::HeaderMap;
use poem_openapi::OpenApi;

use crate::auth::logout::LoggedOut;
use crate::http::browser::CsrfGuard;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct DeleteMe {
    pub(super) auth: Auth,
    pub(super) csrf: CsrfGuard,
}

impl Operation for DeleteMe {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::LastAdministrator)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl DeleteMe {
    /// Delete your account
    ///
    /// Sessions, API keys and share links end at once, and files are no longer accessible. During
    /// the grace period of the deployment the address stays reserved, and a login offers to restore
    /// the account. After it, the account is permanently deleted. The last administrator cannot be
    /// deleted (409 `last_administrator`).
    #[oai(path = "/me", method = "delete", operation_id = "deleteMe")]
    async fn delete(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
        headers: &HeaderMap,
    ) -> Result<LoggedOut> {
        self.auth
            .delete_account(&origin.0, caller.in_session())
            .await?;
        Ok(LoggedOut {
            clears_cookies: self.csrf.browser(headers).has_session(),
        })
    }
}
