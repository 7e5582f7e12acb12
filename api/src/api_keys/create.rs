//! POST /v1/me/api-keys

use plinth_core::api_keys::{ApiKeys, NewApiKey};
use plinth_core::error::Faults;
use plinth_domain::api_key::{ApiKeyName, Expiry};
use plinth_domain::closed_set::Recorded;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::permission::Permission;
use plinth_domain::rejection::Rejection;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::view::ApiKey;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::permissions;
use crate::http::principal::{CredentialsWrite, Fresh};
use crate::http::utc_time::UtcTime;

pub(crate) struct CreateApiKey {
    pub(super) api_keys: ApiKeys,
}

impl Operation for CreateApiKey {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::TooManyApiKeys)]];
}

/// The properties of a new API key.
#[derive(Object)]
struct CreateApiKeyRequest {
    /// A name by which the user recognizes the key.
    #[oai(validator(max_length = 200))]
    name: String,
    /// The permissions of the key, a subset of its owner's.
    #[oai(validator(max_items = 100))]
    scopes: Vec<Recorded<Permission>>,
    /// When the key expires, at most a year from now. In 90 days by default.
    expires_at: Option<UtcTime>,
    /// The lifetime in days, 1 to 365, instead of `expires_at`.
    expires_in_days: Option<u16>,
}

impl CreateApiKeyRequest {
    fn parse(self) -> plinth_core::Result<NewApiKey> {
        let mut faults = Faults::default();
        let name = faults.keep("/name", ApiKeyName::parse(&self.name));
        let scopes = permissions::parse(&mut faults, "/scopes", self.scopes);
        let expiry = match (self.expires_at, self.expires_in_days) {
            (None, None) => Ok(Expiry::Usual),
            (Some(at), None) => Ok(Expiry::At(at.moment())),
            (None, Some(days)) => Ok(Expiry::InDays(days)),
            (Some(_), Some(_)) => Err(Rejection::new(
                "ambiguous",
                "Expected expires_at or expires_in_days, not both.",
            )),
        };
        let expiry = faults.keep("/expires_in_days", expiry);
        let whole = name.zip(scopes).zip(expiry);
        faults.into_result(whole.map(|((name, scopes), expiry)| NewApiKey {
            name,
            scopes,
            expiry,
        }))
    }
}

/// A new API key with its token.
#[derive(Object)]
struct CreatedApiKey {
    /// Send it with every request as `Authorization: Bearer ...`. Keep it secret; it is shown only
    /// once.
    token: String,
    api_key: ApiKey,
}

#[derive(ApiResponse)]
enum Created {
    /// The key was created.
    #[oai(status = 201)]
    Created(
        Json<CreatedApiKey>,
        /// Prevents caches from storing the token.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl CreateApiKey {
    /// Create an API key
    ///
    /// A program with the key acts for the account, within the scopes, until the key expires or is
    /// revoked. An account can have 50 valid keys (409 `too_many_api_keys`).
    #[oai(path = "/me/api-keys", method = "post", operation_id = "createApiKey")]
    async fn create(
        &self,
        caller: Fresh<CredentialsWrite>,
        origin: RequestOrigin,
        body: Body<CreateApiKeyRequest>,
    ) -> Result<Created> {
        let (key, token) = self
            .api_keys
            .create(&origin.0, caller.in_session(), body.0.parse()?)
            .await?;
        let created = CreatedApiKey {
            token: token.reveal().to_owned(),
            api_key: key.into(),
        };
        Ok(Created::Created(Json(created), "no-store".to_owned()))
    }
}
