//! API keys: with one a program acts for its owner, within the key's scopes.

mod recognition;
mod repository;
mod revocation;
mod service;

use plinth_domain::id::{ApiKeyId, UserId};
use plinth_domain::permission::Permissions;
use time::OffsetDateTime;

use crate::{Result, Stores};

pub use recognition::Recognition;
pub(crate) use repository::{expired, standing};
pub(crate) use revocation::{remove_all_of, revoke_all_of};
pub use service::{ApiKey, ApiKeys, NewApiKey};

/// What a request with a key is decided on.
pub(crate) struct LiveKey {
    pub(crate) user: UserId,
    pub(crate) scopes: Permissions,
    /// A second factor was proved at the session that made it.
    pub(crate) multi_factor: bool,
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// The key if it is neither revoked nor expired; notes that it was used.
pub(crate) async fn use_live(stores: &Stores, id: ApiKeyId) -> Result<Option<LiveKey>> {
    Ok(repository::use_live(&stores.db, id, stores.clock.now()).await?)
}
