//! GET /v1/me/passkeys

use plinth_core::passkeys::Passkeys;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::view::Passkey;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{CredentialsRead, InSession};

pub(crate) struct ListPasskeys {
    pub(super) passkeys: Passkeys,
}

impl Operation for ListPasskeys {}

/// All passkeys of an account.
#[derive(Object)]
struct PasskeyList {
    items: Vec<Passkey>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ListPasskeys {
    /// List your passkeys
    ///
    /// Returns the oldest first.
    #[oai(path = "/me/passkeys", method = "get", operation_id = "listPasskeys")]
    async fn list(&self, caller: InSession<CredentialsRead>) -> Result<Json<PasskeyList>> {
        let passkeys = self.passkeys.list(caller.user.id).await?;
        Ok(Json(PasskeyList {
            items: passkeys.into_iter().map(Passkey::from).collect(),
        }))
    }
}
