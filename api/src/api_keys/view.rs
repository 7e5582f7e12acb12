//! An API key in responses to its owner.

use plinth_domain::id::ApiKeyId;
use plinth_domain::permission::Permission;
use poem_openapi::Object;
use time::OffsetDateTime;

/// A key with which a program acts for the account.
#[derive(Object)]
pub(super) struct ApiKey {
    id: ApiKeyId,
    name: String,
    /// The beginning of the key, for recognition: `plk_AbCd…`.
    hint: String,
    /// The permissions of the key. Those that its owner has lost do not apply.
    scopes: Vec<Permission>,
    /// Whether the session that created the key was verified by a second factor. Otherwise the key
    /// is refused while a role of the account requires a second factor.
    multi_factor: bool,
    created_at: OffsetDateTime,
    /// When the key expires.
    expires_at: Option<OffsetDateTime>,
    /// When the key was last used, to the minute.
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
