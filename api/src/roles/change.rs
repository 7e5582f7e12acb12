//! PATCH /v1/roles/{name}

use plinth_core::error::Faults;
use plinth_core::roles::{RoleChange, Roles};
use plinth_domain::closed_set::Recorded;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::permission::Permission;
use plinth_domain::role::RoleDescription;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};

use super::parse_path_name;
use super::view::Role;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::permissions;
use crate::http::principal::{Fresh, RolesWrite};

pub(crate) struct ChangeRole {
    pub(super) roles: Roles,
}

impl Operation for ChangeRole {
    const REFUSALS: Refusals = &[&[
        (409, ErrorCode::BuiltInRole),
        (409, ErrorCode::SecondFactorRequired),
    ]];
}

/// The changes; omitted fields stay as they are.
#[derive(Object)]
struct ChangeRoleRequest {
    /// The purpose of the role; null removes it.
    #[oai(nullable, validator(max_length = 200))]
    description: MaybeUndefined<String>,
    /// All permissions of the role. The caller must have those that are added or removed.
    #[oai(validator(max_items = 100))]
    permissions: Option<Vec<Recorded<Permission>>>,
    /// Whether the holders of the role need a second factor.
    requires_mfa: Option<bool>,
}

impl ChangeRoleRequest {
    fn parse(self) -> plinth_core::Result<RoleChange> {
        let mut faults = Faults::default();
        let description = match self.description {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(text) => faults
                .keep("/description", RoleDescription::parse(&text))
                .map(Some),
        };
        let permissions = self
            .permissions
            .and_then(|names| permissions::parse(&mut faults, "/permissions", names));
        faults.into_result(Some(RoleChange {
            description,
            permissions,
            requires_mfa: self.requires_mfa,
        }))
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Roles")]
impl ChangeRole {
    /// Change a role
    ///
    /// Takes effect with the next request of each holder. The permissions of a built-in role cannot
    /// be changed (409 `built_in_role`), but `requires_mfa` can.
    #[oai(path = "/roles/:name", method = "patch", operation_id = "changeRole")]
    async fn change(
        &self,
        caller: Fresh<RolesWrite>,
        origin: RequestOrigin,
        name: Path<String>,
        body: Body<ChangeRoleRequest>,
    ) -> Result<Json<Role>> {
        let name = parse_path_name(&name.0)?;
        let role = self
            .roles
            .change(&origin.0, caller.in_session(), &name, body.0.parse()?)
            .await?;
        Ok(Json(role.into()))
    }
}
