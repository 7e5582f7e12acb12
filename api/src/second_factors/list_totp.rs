//! GET /v1/me/mfa/totp

use plinth_core::second_factors::SecondFactors;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{CredentialsRead, InSession};

pub(crate) struct ListTotpFactors {
    pub(super) factors: SecondFactors,
}

impl Operation for ListTotpFactors {}

/// An authenticator app.
#[derive(Object)]
struct TotpFactor {
    id: Uuid,
    name: String,
    confirmed_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

/// All authenticator apps of an account.
#[derive(Object)]
struct TotpFactors {
    items: Vec<TotpFactor>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ListTotpFactors {
    /// List your authenticator apps
    #[oai(
        path = "/me/mfa/totp",
        method = "get",
        operation_id = "listTotpFactors"
    )]
    async fn list(&self, caller: InSession<CredentialsRead>) -> Result<Json<TotpFactors>> {
        let factors = self.factors.list(caller.user.id).await?;
        let items = factors.into_iter().map(|factor| TotpFactor {
            id: factor.id.0,
            name: factor.name,
            confirmed_at: factor.confirmed_at,
            last_used_at: factor.last_used_at,
            created_at: factor.created_at,
        });
        Ok(Json(TotpFactors {
            items: items.collect(),
        }))
    }
}
