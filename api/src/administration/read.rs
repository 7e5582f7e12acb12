//! GET /v1/users/{id}

use plinth_core::users::Users;
use plinth_domain::id::UserId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use uuid::Uuid;

use super::view::UserAccount;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, UsersRead};

pub(crate) struct ReadUser {
    pub(super) users: Users,
}

impl Operation for ReadUser {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl ReadUser {
    /// Read an account
    #[oai(path = "/users/:id", method = "get", operation_id = "readUser")]
    async fn read(&self, _caller: Allowed<UsersRead>, id: Path<Uuid>) -> Result<Json<UserAccount>> {
        Ok(Json(self.users.read(UserId(id.0)).await?.into()))
    }
}
