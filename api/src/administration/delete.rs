//! DELETE /v1/users/{id}

use plinth_core::auth::Auth;
use plinth_domain::id::UserId;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, UsersWrite};

pub(crate) struct DeleteUser {
    pub(super) auth: Auth,
}

#[derive(ApiResponse)]
enum Deleted {
    /// The account is gone.
    #[oai(status = 204)]
    Deleted,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl DeleteUser {
    /// Delete somebody's account
    ///
    /// At once and for good, with everything that it has: sessions, API keys, files. Its address is free again, and
    /// its owner is told. The last administrator stays (409 `last_administrator`).
    #[oai(path = "/users/:id", method = "delete", operation_id = "deleteUser")]
    async fn delete(
        &self,
        caller: Fresh<UsersWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Deleted> {
        self.auth.delete_account_of(&origin.0, &caller, UserId(id.0)).await?;
        Ok(Deleted::Deleted)
    }
}
