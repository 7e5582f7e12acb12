//! Who has begun a download by a link, so that he can go on with one that broke off without being counted again.
//!
//! Kept in Redis for a day: a client at an address, and the bytes that it was given. While Redis is away nobody has
//! begun anything, and what goes on counts as a download more.

use plinth_domain::audit::Origin;
use plinth_domain::id::BlobId;
use plinth_platform::crypto::{hex, sha256};
use plinth_platform::redis::Redis;

use crate::access::network_of;

/// A download that broke off is gone on with within so long, in seconds.
const REMEMBERED: u64 = 24 * 3_600;

/// A client that has a link. No address or agent can be read from it.
#[derive(Debug, Clone)]
pub(super) struct Reader(String);

impl Reader {
    pub(super) fn new(token_hash: &[u8; 32], origin: &Origin) -> Self {
        let network = origin.ip.map_or_else(String::new, |ip| network_of(ip).to_string());
        let agent = origin.user_agent.as_deref().unwrap_or_default();
        let client = [&token_hash[..], network.as_bytes(), b"\0", agent.as_bytes()].concat();
        Self(format!("link-reader:{}", hex(&sha256(&client)[..16])))
    }
}

/// Remembers readers.
#[derive(Clone)]
pub(super) struct Readers(Redis);

impl Readers {
    pub(super) fn new(redis: &Redis) -> Self {
        Self(redis.clone())
    }

    /// The bytes that the reader has begun to download.
    pub(super) async fn begun(&self, reader: &Reader) -> Option<BlobId> {
        let mut command = redis::cmd("GET");
        command.arg(self.0.key(&reader.0));
        let blob: Option<String> = self.0.command("links.reader", &command).await.ok()?;
        blob?.parse().ok()
    }

    /// The reader has begun to download these bytes.
    pub(super) async fn begin(&self, reader: &Reader, blob: BlobId) {
        let mut command = redis::cmd("SET");
        command.arg(self.0.key(&reader.0)).arg(blob.to_string()).arg("EX").arg(REMEMBERED);
        // Whoever is not remembered is counted once more when he goes on.
        let _ = self.0.command::<()>("links.begin", &command).await;
    }
}
