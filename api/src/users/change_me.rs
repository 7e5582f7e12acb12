//! PATCH /v1/me

use plinth_core::Error;
use plinth_core::users::{ProfileChange, Users};
use plinth_domain::text::DisplayName;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};

use super::me::Account;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, ProfileWrite};

pub(crate) struct ChangeMe {
    pub(super) users: Users,
}

impl Operation for ChangeMe {}

/// The changes; omitted fields stay as they are.
#[derive(Object)]
struct ChangeMeRequest {
    /// The name that the user wants to be called by; null removes it.
    #[oai(nullable, validator(max_length = 200))]
    display_name: MaybeUndefined<String>,
}

impl ChangeMeRequest {
    fn parse(self) -> std::result::Result<ProfileChange, Error> {
        let display_name = match self.display_name {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(text) => {
                let name = DisplayName::parse(&text)
                    .map_err(|rejection| Error::invalid("/display_name", rejection))?;
                Some(Some(name))
            }
        };
        Ok(ProfileChange { display_name })
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ChangeMe {
    /// Change your account
    #[oai(path = "/me", method = "patch", operation_id = "changeMe")]
    async fn change(
        &self,
        caller: Allowed<ProfileWrite>,
        origin: RequestOrigin,
        body: Body<ChangeMeRequest>,
    ) -> Result<Json<Account>> {
        let user = self
            .users
            .change_profile(&origin.0, caller.user.id, body.0.parse()?)
            .await?;
        Ok(Json(Account::of(&user, &caller.rights)))
    }
}
