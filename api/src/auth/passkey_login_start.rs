//! POST /v1/auth/passkeys/login/start

use plinth_core::access::Purpose;
use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::OpenApi;
use poem_openapi::payload::Json;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::passkeys::view::PasskeyCeremony;

pub(crate) struct StartPasskeyLogin {
    pub(super) auth: Auth,
}

impl Operation for StartPasskeyLogin {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::PasskeysUnavailable)]];
    const IS_OPEN: bool = true;
    const PURPOSE: Purpose = Purpose::Guess;
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl StartPasskeyLogin {
    /// Start a login with a passkey
    ///
    /// Returns the options for `navigator.credentials.get`. The passkey identifies the account.
    #[oai(
        path = "/passkeys/login/start",
        method = "post",
        operation_id = "startPasskeyLogin"
    )]
    async fn start(&self, origin: RequestOrigin) -> Result<Json<PasskeyCeremony>> {
        let ceremony = self.auth.start_passkey_login(&origin.0).await?;
        Ok(Json(ceremony.try_into()?))
    }
}
