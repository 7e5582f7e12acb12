//! An API key as its owner sees it.

use plinth_domain::id::ApiKeyId;
use plinth_domain::permission::Permission;
use poem_openapi::Object;
use time::OffsetDateTime;

/// A key with which a program acts for the account.
#[derive(Object)]
pub(super) struct ApiKey {
    id: ApiKeyId,
    name: String,
    /// The beginning of the key, to tell it from others: `plk_AbCd…`.
    hint: String,
    /// What it may do, as far as its owner still may.
    scopes: Vec<Permission>,
    /// Whether a second factor was proved at the session that made the key. Another key is refused while a role of the
    /// account requires a second factor.
    multi_factor: bool,
    created_at: OffsetDateTime,
    /// From then on it is refused.
    expires_at: Option<OffsetDateTime>,
    /// To the minute.
    last_used_at: Option<OffsetDateTime>,
}

impl From<plinth_core::api_keys::ApiKey> for ApiKey {
    fn from(key: plinth_core::api_keys::ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            hint: key.hint,
            scopes: key.scopes.iter().collect(),
            multi_factor: key.multi_factor,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}
