//! A share link in responses to the owner of its file.

use plinth_domain::id::ShareLinkId;
use poem_openapi::Object;
use time::OffsetDateTime;

/// A link by which everyone who has it can download a file.
#[derive(Object)]
pub(super) struct ShareLink {
    id: ShareLinkId,
    has_password: bool,
    /// The number of downloads after which the link ends; null if unlimited.
    max_downloads: Option<i32>,
    /// The number of downloads so far.
    downloads: i64,
    /// When the link expires.
    expires_at: OffsetDateTime,
    created_at: OffsetDateTime,
    /// The version that the link is pinned to; null if it serves the current version.
    version: Option<i32>,
}

impl From<plinth_core::files::ShareLink> for ShareLink {
    fn from(link: plinth_core::files::ShareLink) -> Self {
        Self {
            id: link.id,
            has_password: link.has_password,
            max_downloads: link.max_downloads,
            downloads: link.downloads,
            expires_at: link.expires_at,
            created_at: link.created_at,
            version: link.version,
        }
    }
}
