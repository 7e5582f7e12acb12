//! GET /v1/permissions

use plinth_domain::permission::Permission;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, RolesRead};

pub(crate) struct ListPermissions;

impl Operation for ListPermissions {}

/// Something that a role may allow.
#[derive(Object)]
struct KnownPermission {
    name: Permission,
    description: String,
    /// Whether an API key may carry it.
    api_keys: bool,
}

/// All permissions.
#[derive(Object)]
struct PermissionList {
    items: Vec<KnownPermission>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Roles")]
impl ListPermissions {
    /// List the permissions
    ///
    /// What roles are made of.
    #[oai(
        path = "/permissions",
        method = "get",
        operation_id = "listPermissions"
    )]
    #[expect(
        clippy::unused_async,
        reason = "an operation is async, also one whose caller was all that it needs"
    )]
    async fn list(&self, _caller: Allowed<RolesRead>) -> Result<Json<PermissionList>> {
        let items = Permission::ALL.iter().map(|&permission| KnownPermission {
            name: permission,
            description: permission.description().to_owned(),
            api_keys: permission.suits_api_keys(),
        });
        Ok(Json(PermissionList {
            items: items.collect(),
        }))
    }
}
