//! DELETE /v1/roles/{name}

use plinth_core::roles::Roles;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};

use super::parse_path_name;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, RolesWrite};

pub(crate) struct RemoveRole {
    pub(super) roles: Roles,
}

impl Operation for RemoveRole {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::BuiltInRole), (409, ErrorCode::RoleInUse)]];
}

#[derive(ApiResponse)]
enum Removed {
    /// The role was removed.
    #[oai(status = 204)]
    Removed,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Roles")]
impl RemoveRole {
    /// Remove a role
    ///
    /// Removes a role that no account has (409 `role_in_use`) and that is not built in (409
    /// `built_in_role`). The caller must have all of its permissions.
    #[oai(path = "/roles/:name", method = "delete", operation_id = "removeRole")]
    async fn remove(
        &self,
        caller: Fresh<RolesWrite>,
        origin: RequestOrigin,
        name: Path<String>,
    ) -> Result<Removed> {
        self.roles
            .remove(&origin.0, caller.in_session(), &parse_path_name(&name.0)?)
            .await?;
        Ok(Removed::Removed)
    }
}
