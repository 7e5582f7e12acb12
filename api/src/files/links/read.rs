//! GET /v1/links/{token}

use plinth_core::files::ShareLinks;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use time::OffsetDateTime;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::secret::Secret;

pub(crate) struct ReadSharedFile {
    pub(super) links: ShareLinks,
}

impl Operation for ReadSharedFile {
    const IS_OPEN: bool = true;
}

/// A file that a link shares.
#[derive(Object)]
struct SharedFile {
    name: String,
    content_type: String,
    /// The size in bytes.
    size: i64,
    /// Whether the download needs a ticket, which requires the password of the link.
    needs_password: bool,
    /// When the link expires.
    expires_at: OffsetDateTime,
}

impl From<plinth_core::files::SharedFile> for SharedFile {
    fn from(file: plinth_core::files::SharedFile) -> Self {
        Self {
            name: file.name,
            content_type: file.content_type,
            size: file.size,
            needs_password: file.needs_password,
            expires_at: file.expires_at,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadSharedFile {
    /// Read the description of a shared file
    ///
    /// Open to everyone who has the link. 404 if the link is unknown, expired, revoked or used up,
    /// or if the file was deleted.
    #[oai(
        path = "/links/:token",
        method = "get",
        operation_id = "readSharedFile"
    )]
    async fn read(&self, token: Path<Secret>) -> Result<Json<SharedFile>> {
        Ok(Json(self.links.describe(&token.0.0).await?.into()))
    }
}
