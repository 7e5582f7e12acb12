//! PATCH /v1/me/passkeys/{id}

use plinth_core::passkeys::Passkeys;
use plinth_domain::id::PasskeyId;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::view::{Passkey, parse_name};
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{CredentialsWrite, InSession};

pub(crate) struct RenamePasskey {
    pub(super) passkeys: Passkeys,
}

impl Operation for RenamePasskey {}

/// The new name of a passkey.
#[derive(Object)]
struct RenamePasskeyRequest {
    #[oai(validator(max_length = 200))]
    name: String,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl RenamePasskey {
    /// Rename one of your passkeys
    #[oai(
        path = "/me/passkeys/:id",
        method = "patch",
        operation_id = "renamePasskey"
    )]
    async fn rename(
        &self,
        caller: InSession<CredentialsWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        body: Body<RenamePasskeyRequest>,
    ) -> Result<Json<Passkey>> {
        let name = parse_name(&body.0.name)?;
        let passkey = self
            .passkeys
            .rename(&origin.0, caller.user.id, PasskeyId(id.0), &name)
            .await?;
        Ok(Json(passkey.into()))
    }
}
