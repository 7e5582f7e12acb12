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

/// A permission that a role can include.
#[derive(Object)]
struct KnownPermission {
    /// The name, as `resource:action`.
    name: Permission,
    description: String,
    /// Whether an API key can have the permission.
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
    /// Returns all permissions that a role can include.
    #[oai(
        path = "/permissions",
        method = "get",
        operation_id = "listPermissions"
    )]
    #[expect(clippy::unused_async, reason = "operations are async")]
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
