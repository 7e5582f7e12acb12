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
    /// The upload is deleted, and its reserved bytes are free.
    #[oai(status = 204)]
    Abandoned,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl AbandonDirectUpload {
    /// Abandon a direct upload
    ///
    /// A file that the upload has become is not affected. 404 if the upload has already ended.
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
