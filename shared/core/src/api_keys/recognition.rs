//! Which key a presented token is.

use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{ApiKeyId, UserId};
use plinth_platform::crypto::ApiKeyToken;
use quick_cache::sync::Cache;

use super::repository;
use crate::{Error, Result, Stores};

/// Keys remembered; whether one lives is still asked each time.
const REMEMBERED: usize = 10_000;

/// Tells which key a token is, and whose. Both are fixed, so that a process asks PostgreSQL once.
pub struct Recognition {
    stores: Stores,
    known: Cache<[u8; 32], (ApiKeyId, UserId)>,
}

impl Recognition {
    pub fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
            known: Cache::new(REMEMBERED),
        }
    }

    /// The key and its owner.
    pub async fn recognise(&self, token: &str) -> Result<(ApiKeyId, UserId)> {
        let hash = ApiKeyToken::parse(token).ok_or_else(unknown)?.hash();
        if let Some(known) = self.known.get(&hash) {
            return Ok(known);
        }
        let found = repository::find_by_hash(&self.stores.db, &hash)
            .await?
            .ok_or_else(unknown)?;
        self.known.insert(hash, found);
        Ok(found)
    }
}

fn unknown() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::InvalidToken,
        detail: "There is no such API key.",
    }
}
