//! DELETE /v1/me/links

use plinth_core::files::ShareLinks;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct RevokeOwnLinks {
    pub(super) links: ShareLinks,
}

impl Operation for RevokeOwnLinks {}

/// The result of revoking links.
#[derive(Object)]
struct ShareLinksRevoked {
    /// The number of revoked links, including expired ones.
    revoked: u64,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl RevokeOwnLinks {
    /// Revoke the links to all your files
    ///
    /// The links stop working with the next request. Downloads that have started continue.
    #[oai(path = "/me/links", method = "delete", operation_id = "revokeOwnLinks")]
    async fn revoke(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
    ) -> Result<Json<ShareLinksRevoked>> {
        let revoked = self.links.revoke_all(&origin.0, caller.user.id).await?;
        Ok(Json(ShareLinksRevoked {
            revoked: u64::try_from(revoked).unwrap_or(u64::MAX),
        }))
    }
}
