//! DELETE /v1/me/passkeys/{id}

use plinth_core::passkeys::Passkeys;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::PasskeyId;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, Fresh};

pub(crate) struct RemovePasskey {
    pub(super) passkeys: Passkeys,
}

impl Operation for RemovePasskey {
    const REFUSALS: Refusals = &[&[
        (409, ErrorCode::NoOtherCredential),
        (409, ErrorCode::SecondFactorRequired),
    ]];
}

#[derive(ApiResponse)]
enum Removed {
    /// The passkey was removed.
    #[oai(status = 204)]
    Removed,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RemovePasskey {
    /// Remove one of your passkeys
    ///
    /// Sessions that it opened continue. 409 if the account cannot do without it:
    /// `no_other_credential` if nothing else can log in, `second_factor_required` if a role
    /// requires a second factor. The session must have been verified by a second factor that the
    /// account already had (403 `second_factor_required`).
    #[oai(
        path = "/me/passkeys/:id",
        method = "delete",
        operation_id = "removePasskey"
    )]
    async fn remove(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Removed> {
        self.passkeys
            .remove(&origin.0, caller.in_session(), PasskeyId(id.0))
            .await?;
        Ok(Removed::Removed)
    }
}
