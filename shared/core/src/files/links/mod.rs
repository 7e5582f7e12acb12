//! Share links: whoever has one reads the current version of a file, or the version that the link is pinned to, without
//! an account, until the link ends.
//!
//! A link that is unknown, expired, revoked or used up, and one to a file in the trash, are one and the same: not
//! found.

mod owner;
mod recovery;
mod repository;
mod resume;
mod ticket;
mod visitor;

use plinth_domain::audit::{Action, Outcome, Target};
use plinth_domain::id::{ApiKeyId, BlobId, FileId, SessionId, ShareLinkId, UserId};
use plinth_domain::password::Password;
use plinth_domain::share_link::{DownloadLimit, LinkExpiry};
use plinth_platform::crypto::{PasswordHasher, RootKey};
use serde_json::json;
use time::OffsetDateTime;

use self::resume::ResumeTickets;
use self::ticket::Tickets;
use super::blobs::Standing;
use super::{Content, Files};
use crate::access::Credential;
use crate::auth::Throttle;
use crate::unit::Unit;
use crate::{Result, Stores};

pub(crate) use recovery::end_made_by_ended;
pub(crate) use repository::expired;
pub use resume::RESUME_LIFETIME;
pub use ticket::Ticket;
pub use visitor::DownloadTickets;

/// A link that is asked for.
#[derive(Debug)]
pub struct NewShareLink {
    pub expiry: LinkExpiry,
    /// What whoever has the link has to know besides.
    pub password: Option<Password>,
    /// `None` for as many as there are asked for.
    pub max_downloads: Option<DownloadLimit>,
    /// The link goes on showing the version that is current when it is made.
    pub pinned: bool,
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
    /// The version that the link is pinned to; `None` for one that shows the current version.
    pub version: Option<i32>,
}

/// A link in a list of all links of an account.
#[derive(Debug, Clone)]
pub struct OwnLink {
    pub link: ShareLink,
    pub file: FileId,
    pub file_name: String,
    /// A link to a file in the trash opens nothing until the file is restored.
    pub file_is_trashed: bool,
}

/// What made a link.
struct MadeBy {
    session: Option<SessionId>,
    api_key: Option<ApiKeyId>,
}

impl From<&Credential> for MadeBy {
    fn from(credential: &Credential) -> Self {
        match credential {
            Credential::Session(login) => Self {
                session: Some(login.session),
                api_key: None,
            },
            Credential::ApiKey { key, .. } => Self {
                session: None,
                api_key: Some(*key),
            },
        }
    }
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
    /// The client has shown that it began to download these very bytes.
    resumes: bool,
}

/// A link that has not ended, though it may be used up.
#[derive(Clone)]
struct LiveLink {
    id: ShareLinkId,
    file: FileId,
    owner: UserId,
    /// The version that it is pinned to.
    version: Option<i32>,
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
    resume_tickets: ResumeTickets,
}

impl ShareLinks {
    pub fn new(stores: &Stores, files: &Files, root: &RootKey, hasher: PasswordHasher) -> Self {
        Self {
            stores: stores.clone(),
            files: files.clone(),
            hasher,
            throttle: Throttle::new(stores),
            tickets: Tickets::new(&root.derive("share link tickets v1")),
            resume_tickets: ResumeTickets::new(&root.derive("share link resume tickets v1")),
        }
    }

    /// What opens the contents.
    pub fn files(&self) -> &Files {
        &self.files
    }
}

/// Ends every link to a file of this owner.
pub(crate) async fn remove_all_of(unit: &mut Unit, owner: UserId) -> Result<()> {
    let removed = repository::remove_all(unit.connection(), owner)
        .await?
        .len();
    if removed > 0 {
        let details = json!({ "share_links": removed });
        unit.audit_with(
            Action::ShareLinkRevoked,
            Target::User(owner),
            Outcome::Success,
            details,
        )
        .await?;
    }
    Ok(())
}
