//! DELETE /v1/me/password

use plinth_core::auth::Auth;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::{ApiResponse, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct RemovePassword {
    pub(super) auth: Auth,
}

impl Operation for RemovePassword {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::NoOtherCredential)]];
}

#[derive(ApiResponse)]
enum Removed {
    /// The password was removed.
    #[oai(status = 204)]
    Removed,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RemovePassword {
    /// Remove your password
    ///
    /// From then on only passkeys can log in. 409 `no_other_credential` if the account has no
    /// passkey. Ends all other sessions.
    #[oai(
        path = "/me/password",
        method = "delete",
        operation_id = "removePassword"
    )]
    async fn remove(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
    ) -> Result<Removed> {
        self.auth
            .remove_password(&origin.0, caller.in_session())
            .await?;
        Ok(Removed::Removed)
    }
}
