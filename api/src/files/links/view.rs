//! A share link as the owner of its file sees it.

use plinth_domain::id::ShareLinkId;
use poem_openapi::Object;
use time::OffsetDateTime;

/// A link by which anybody who has it downloads the file.
#[derive(Object)]
pub(super) struct ShareLink {
    id: ShareLinkId,
    has_password: bool,
    /// Null for as many as there are asked for.
    max_downloads: Option<i32>,
    /// How often the file was downloaded by it.
    downloads: i64,
    /// From then on it opens nothing.
    expires_at: OffsetDateTime,
    created_at: OffsetDateTime,
    /// The version that the link is pinned to; null for one that shows the current version.
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
