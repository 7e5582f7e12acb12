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
    /// The account has no password.
    #[oai(status = 204)]
    Removed,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RemovePassword {
    /// Remove the own password
    ///
    /// From then on only passkeys log in; an account without any keeps its password (409 `no_other_credential`). Every
    /// other session ends.
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
