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
    /// No earlier address can take the account back.
    #[oai(status = 204)]
    Waived,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl WaiveEmailUndo {
    /// Make changes of the own address final
    ///
    /// For an owner whose old mailbox is compromised: links that would take the old address back end. Needs a session of two
    /// factors (403 `second_factor_required`), and that the account's factors are not new (409 `second_factor_too_new`).
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
