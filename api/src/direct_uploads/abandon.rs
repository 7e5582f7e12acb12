//! DELETE /v1/direct-uploads/{id}

use plinth_core::files::DirectUploads;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::BlobId;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct AbandonDirectUpload {
    pub(super) uploads: DirectUploads,
}

impl Operation for AbandonDirectUpload {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::UploadOver)]];
}

#[derive(ApiResponse)]
enum Abandoned {
    /// Nothing of it stays, and what was set aside for it is free.
    #[oai(status = 204)]
    Abandoned,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl AbandonDirectUpload {
    /// Give a direct upload up
    ///
    /// A file that it has become is not touched; one that is over is not found.
    #[oai(
        path = "/direct-uploads/:id",
        method = "delete",
        operation_id = "abandonDirectUpload"
    )]
    async fn abandon(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Abandoned> {
        self.uploads
            .abandon(&origin.0, caller.user.id, BlobId(id.0))
            .await?;
        Ok(Abandoned::Abandoned)
    }
}
