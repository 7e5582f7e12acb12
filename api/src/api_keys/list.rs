//! GET /v1/me/api-keys

use plinth_core::api_keys::ApiKeys;
use plinth_core::page::PageRequest;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::view::ApiKey;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{CredentialsRead, InSession};

pub(crate) struct ListApiKeys {
    pub(super) api_keys: ApiKeys,
}

impl Operation for ListApiKeys {}

/// A page of API keys, the newest first.
#[derive(Object)]
struct ApiKeyPage {
    items: Vec<ApiKey>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ListApiKeys {
    /// List your API keys
    ///
    /// Returns the newest first, without their tokens. Expired keys are included.
    #[oai(path = "/me/api-keys", method = "get", operation_id = "listApiKeys")]
    async fn list(
        &self,
        caller: InSession<CredentialsRead>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<ApiKeyPage>> {
        let page = PageRequest::parse(limit.0, cursor.0.as_deref())?;
        let keys = self.api_keys.list(caller.user.id, page).await?;
        let items = keys.items.into_iter().map(ApiKey::from).collect();
        Ok(Json(ApiKeyPage {
            items,
            next_cursor: keys.next_cursor,
        }))
    }
}
