//! POST /v1/roles

use plinth_core::error::Faults;
use plinth_core::roles::{RoleChange, Roles};
use plinth_domain::closed_set::Recorded;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::permission::Permission;
use plinth_domain::role::{RoleDescription, RoleName};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::view::Role;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::permissions;
use crate::http::principal::{Fresh, RolesWrite};

pub(crate) struct CreateRole {
    pub(super) roles: Roles,
}

impl Operation for CreateRole {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::RoleExists), (409, ErrorCode::TooManyRoles)]];
}

/// The properties of a new role.
#[derive(Object)]
struct CreateRoleRequest {
    /// The name: lower-case letters, digits and dashes.
    #[oai(validator(max_length = 64))]
    name: String,
    /// The purpose of the role.
    #[oai(validator(max_length = 200))]
    description: Option<String>,
    /// The permissions of the role, as `resource:action`. The caller must have all of them.
    #[oai(validator(max_items = 100))]
    permissions: Vec<Recorded<Permission>>,
    /// Whether the holders of the role need a second factor. False by default.
    requires_mfa: Option<bool>,
}

impl CreateRoleRequest {
    fn parse(self) -> plinth_core::Result<(RoleName, RoleChange)> {
        let mut faults = Faults::default();
        let name = faults.keep("/name", RoleName::parse(&self.name));
        let description = self
            .description
            .as_deref()
            .map(RoleDescription::parse)
            .transpose();
        let description = faults.keep("/description", description).flatten();
        let permissions = permissions::parse(&mut faults, "/permissions", self.permissions);
        let content = RoleChange {
            description: Some(description),
            permissions,
            requires_mfa: self.requires_mfa,
        };
        faults.into_result(name.map(|name| (name, content)))
    }
}

#[derive(ApiResponse)]
enum Created {
    /// The role was created; no account has it yet.
    #[oai(status = 201)]
    Created(Json<Role>),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Roles")]
impl CreateRole {
    /// Create a role
    ///
    /// The caller cannot include a permission that they do not have.
    #[oai(path = "/roles", method = "post", operation_id = "createRole")]
    async fn create(
        &self,
        caller: Fresh<RolesWrite>,
        origin: RequestOrigin,
        body: Body<CreateRoleRequest>,
    ) -> Result<Created> {
        let (name, content) = body.0.parse()?;
        let role = self
            .roles
            .create(&origin.0, caller.in_session(), &name, content)
            .await?;
        Ok(Created::Created(Json(role.into())))
    }
}
