//! GET /v1/roles

use plinth_core::roles::Roles;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::view::Role;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, RolesRead};

pub(crate) struct ListRoles {
    pub(super) roles: Roles,
}

impl Operation for ListRoles {}

/// All roles, by name.
#[derive(Object)]
struct RoleList {
    items: Vec<Role>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Roles")]
impl ListRoles {
    /// List the roles
    #[oai(path = "/roles", method = "get", operation_id = "listRoles")]
    async fn list(&self, _caller: Allowed<RolesRead>) -> Result<Json<RoleList>> {
        let items = self
            .roles
            .list()
            .await?
            .into_iter()
            .map(Role::from)
            .collect();
        Ok(Json(RoleList { items }))
    }
}
