//! POST /v1/me/passkeys/start

use plinth_core::passkeys::Passkeys;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::OpenApi;
use poem_openapi::payload::Json;

use super::view::PasskeyCeremony;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Enrolling};

pub(crate) struct StartPasskey {
    pub(super) passkeys: Passkeys,
}

impl Operation for StartPasskey {
    const REFUSALS: Refusals = &[&[
        (403, ErrorCode::SecondFactorRequired),
        (409, ErrorCode::PasskeysUnavailable),
        (409, ErrorCode::TooManyPasskeys),
    ]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl StartPasskey {
    /// Start to add a passkey
    ///
    /// Returns the options for `navigator.credentials.create`. Send the result to
    /// `/v1/me/passkeys/finish` in the same session.
    #[oai(
        path = "/me/passkeys/start",
        method = "post",
        operation_id = "startPasskey"
    )]
    async fn start(
        &self,
        caller: Enrolling<CredentialsWrite>,
        origin: RequestOrigin,
    ) -> Result<Json<PasskeyCeremony>> {
        let ceremony = self
            .passkeys
            .start_enrolment(&origin.0, caller.in_session())
            .await?;
        Ok(Json(ceremony.try_into()?))
    }
}
