//! GET /v1/roles/{name}

use plinth_core::roles::Roles;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use super::parse_path_name;
use super::view::Role;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, RolesRead};

pub(crate) struct ReadRole {
    pub(super) roles: Roles,
}

impl Operation for ReadRole {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Roles")]
impl ReadRole {
    /// Read a role
    #[oai(path = "/roles/:name", method = "get", operation_id = "readRole")]
    async fn read(&self, _caller: Allowed<RolesRead>, name: Path<String>) -> Result<Json<Role>> {
        let role = self.roles.find(&parse_path_name(&name.0)?).await?;
        Ok(Json(role.into()))
    }
}
