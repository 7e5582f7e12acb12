//! POST /v1/direct-uploads/{id}/complete

use std::time::Duration;

use plinth_core::files::DirectUploads;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::BlobId;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use super::representation::DirectUpload;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct CompleteDirectUpload {
    pub(super) uploads: DirectUploads,
    pub(super) abandoned_after: Duration,
}

impl Operation for CompleteDirectUpload {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::NotUploaded), (409, ErrorCode::UploadOver)]];
}

#[derive(ApiResponse)]
enum Accepted {
    /// The bytes are being verified, or were verified; `state` has the result.
    #[oai(status = 202)]
    Accepted(Json<DirectUpload>),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl CompleteDirectUpload {
    /// Complete a direct upload
    ///
    /// Call it after all bytes were sent to the object store. The job `job_id` reads the bytes back
    /// in the background. If their size and SHA-256 match the declared ones, the file is created;
    /// otherwise the upload is `refused` and its bytes are deleted. 409 `not_uploaded` if bytes are
    /// missing in the object store; the missing parts can still be sent. Repeating the call has no
    /// effect.
    #[oai(
        path = "/direct-uploads/:id/complete",
        method = "post",
        operation_id = "completeDirectUpload"
    )]
    async fn complete(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Accepted> {
        let upload = self
            .uploads
            .complete(&origin.0, caller.user.id, BlobId(id.0))
            .await?;
        Ok(Accepted::Accepted(Json(DirectUpload::of(
            upload,
            self.abandoned_after,
        ))))
    }
}
