//! DELETE /v1/me

use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem::http::HeaderMap;
use poem_openapi::OpenApi;

use crate::auth::logout::LoggedOut;
use crate::http::browser::Pages;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct DeleteMe {
    pub(super) auth: Auth,
    pub(super) pages: Pages,
}

impl Operation for DeleteMe {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::LastAdministrator)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl DeleteMe {
    /// Delete the own account
    ///
    /// Its sessions, API keys and share links end at once and its files are not found any more. For the grace period of the
    /// deployment its address stays reserved, and a login asks whether the account is to be restored; then it goes for good.
    /// The last administrator stays (409 `last_administrator`).
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
            forgets: self.pages.browser(headers).has_session(),
        })
    }
}
