//! DELETE /v1/files/{id}/links/{link_id}

use plinth_core::files::ShareLinks;
use plinth_domain::id::{FileId, ShareLinkId};
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct RevokeShareLink {
    pub(super) links: ShareLinks,
}

impl Operation for RevokeShareLink {}

#[derive(ApiResponse)]
enum Revoked {
    /// The link was revoked.
    #[oai(status = 204)]
    Revoked,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl RevokeShareLink {
    /// Revoke a link to a file
    ///
    /// The link stops working with the next request. Downloads that have started continue.
    #[oai(
        path = "/files/:id/links/:link_id",
        method = "delete",
        operation_id = "revokeShareLink"
    )]
    async fn revoke(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        link_id: Path<Uuid>,
    ) -> Result<Revoked> {
        let (file, link) = (FileId(id.0), ShareLinkId(link_id.0));
        self.links
            .revoke(&origin.0, caller.user.id, file, link)
            .await?;
        Ok(Revoked::Revoked)
    }
}
