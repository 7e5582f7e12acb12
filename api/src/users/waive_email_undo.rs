//! DELETE /v1/me/email/undo

use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::{ApiResponse, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct WaiveEmailUndo {
    pub(super) auth: Auth,
}

impl Operation for WaiveEmailUndo {
    const REFUSALS: Refusals = &[&[
        (404, ErrorCode::NotFound),
        (409, ErrorCode::SecondFactorTooNew),
    ]];
}

#[derive(ApiResponse)]
enum Waived {
    /// The links to undo changes of the address no longer work.
    #[oai(status = 204)]
    Waived,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl WaiveEmailUndo {
    /// Make changes of your e-mail address final
    ///
    /// For a user whose old mailbox is compromised: the links that restore the old address become
    /// invalid. Requires a session with two factors (403 `second_factor_required`), and second
    /// factors that are some days old (409 `second_factor_too_new`).
    #[oai(
        path = "/me/email/undo",
        method = "delete",
        operation_id = "waiveEmailUndo"
    )]
    async fn waive(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
    ) -> Result<Waived> {
        self.auth
            .waive_email_undo(&origin.0, caller.in_session())
            .await?;
        Ok(Waived::Waived)
    }
}
