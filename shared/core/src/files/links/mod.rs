//! Share links: whoever has one reads the current version of a file, without an account, until the link ends.
//!
//! A link that is unknown, expired, revoked or used up, and one to a file in the trash, are one and the same: not
//! found.

mod owner;
mod reader;
mod repository;
mod ticket;
mod visitor;

use plinth_domain::id::{BlobId, FileId, ShareLinkId, UserId};
use plinth_domain::password::Password;
use plinth_domain::share_link::{DownloadLimit, LinkExpiry};
use plinth_platform::crypto::{PasswordHasher, RootKey};
use time::OffsetDateTime;

use self::reader::Readers;
use self::ticket::Tickets;
use super::blobs::Standing;
use super::{Content, Files};
use crate::auth::Throttle;
use crate::cleanup::{BATCH, Batch, Pass};
use crate::{Result, Stores};

pub use ticket::Ticket;

/// A link that is asked for.
#[derive(Debug)]
pub struct NewShareLink {
    pub expiry: LinkExpiry,
    /// What whoever has the link has to know besides.
    pub password: Option<Password>,
    /// `None` for as many as there are asked for.
    pub max_downloads: Option<DownloadLimit>,
}

/// A link as the file's owner sees it after it was made: without the token.
#[derive(Debug, Clone)]
pub struct ShareLink {
    pub id: ShareLinkId,
    pub has_password: bool,
    pub max_downloads: Option<i32>,
    /// How often it was downloaded by.
    pub downloads: i64,
    /// From then on it opens nothing.
    pub expires_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
}

/// What a link shares, as whoever has it is told: nothing of the owner.
#[derive(Debug, Clone)]
pub struct SharedFile {
    pub name: String,
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    pub needs_password: bool,
    pub expires_at: OffsetDateTime,
}

/// What a download by a link is. It is counted by [`ShareLinks::count`], once it is known what of it is asked for.
#[derive(Clone)]
pub struct SharedContent {
    pub content: Content,
    link: LiveLink,
    reader: reader::Reader,
    /// This reader has begun to download these very bytes.
    resumes: bool,
}

/// A link that has not ended, though it may be used up.
#[derive(Clone)]
struct LiveLink {
    id: ShareLinkId,
    file: FileId,
    owner: UserId,
    /// The bytes that it shows now.
    blob: BlobId,
    /// How far they have come.
    standing: Standing,
    password_hash: Option<String>,
    expires_at: OffsetDateTime,
    is_used_up: bool,
}

/// The door to share links.
#[derive(Clone)]
pub struct ShareLinks {
    stores: Stores,
    files: Files,
    hasher: PasswordHasher,
    throttle: Throttle,
    tickets: Tickets,
    readers: Readers,
}

impl ShareLinks {
    pub fn new(stores: &Stores, files: &Files, root: &RootKey, hasher: PasswordHasher) -> Self {
        Self {
            stores: stores.clone(),
            files: files.clone(),
            hasher,
            throttle: Throttle::new(stores),
            tickets: Tickets::new(&root.derive("share link tickets v1")),
            readers: Readers::new(&stores.redis),
        }
    }

    /// What opens the contents.
    pub fn files(&self) -> &Files {
        &self.files
    }
}

/// Those that expired before this time, for the clean-up.
pub(crate) async fn expired(stores: &Stores, before: OffsetDateTime, pass: Pass) -> Result<Batch> {
    Ok(match pass {
        Pass::Count => Batch::whole(repository::count_expired(&stores.db, before).await?),
        Pass::Remove(slice) => {
            let removed = repository::remove_expired(&stores.db, before, slice).await?;
            Batch::of(removed, slice.limit(BATCH))
        }
    })
}
