//! PUT /v1/users/{id}/roles

use plinth_core::error::Faults;
use plinth_core::users::Users;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::UserId;
use plinth_domain::role::RoleName;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::view::UserAccount;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Fresh, RolesWrite};

pub(crate) struct AssignRoles {
    pub(super) users: Users,
}

impl Operation for AssignRoles {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::LastAdministrator)]];
}

/// The roles of an account.
#[derive(Object)]
struct AssignRolesRequest {
    /// The names of all roles of the account. They replace its current roles.
    #[oai(validator(max_items = 100))]
    roles: Vec<String>,
}

impl AssignRolesRequest {
    fn parse(&self) -> plinth_core::Result<Vec<RoleName>> {
        let mut faults = Faults::default();
        let names: Vec<Option<RoleName>> = self
            .roles
            .iter()
            .enumerate()
            .map(|(index, name)| faults.keep(&format!("/roles/{index}"), RoleName::parse(name)))
            .collect();
        faults.into_result(names.into_iter().collect())
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Users")]
impl AssignRoles {
    /// Assign roles
    ///
    /// Takes effect with the next request of the account. The caller cannot assign a role that
    /// allows more than their own permissions, or remove one from an account that is allowed more.
    #[oai(
        path = "/users/:id/roles",
        method = "put",
        operation_id = "assignRoles"
    )]
    async fn assign(
        &self,
        caller: Fresh<RolesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        body: Body<AssignRolesRequest>,
    ) -> Result<Json<UserAccount>> {
        let names = body.0.parse()?;
        Ok(Json(
            self.users
                .assign_roles(&origin.0, caller.in_session(), UserId(id.0), &names)
                .await?
                .into(),
        ))
    }
}
