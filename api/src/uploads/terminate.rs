//! DELETE /v1/uploads/{id}

use plinth_core::files::Resumables;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::BlobId;
use poem::http::StatusCode;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path};
use uuid::Uuid;

use super::protocol::{check_version, empty};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::headers_only::HeadersOnly;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct TerminateUpload {
    pub(super) uploads: Resumables,
}

impl Operation for TerminateUpload {
    const REFUSALS: Refusals = &[&[
        (409, ErrorCode::UploadTakenOver),
        (412, ErrorCode::TusVersion),
    ]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl TerminateUpload {
    /// Abandon a resumable upload
    ///
    /// Deletes the upload and its bytes. A file that the upload has become is not affected.
    #[oai(
        path = "/uploads/:id",
        method = "delete",
        operation_id = "terminateUpload"
    )]
    async fn terminate(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        /// `1.0.0`. Any other version, or none, is refused (412 `tus_version`).
        #[oai(name = "Tus-Resumable")]
        version: Header<Option<String>>,
    ) -> Result<HeadersOnly<204>> {
        check_version(version.0.as_deref())?;
        self.uploads
            .abandon(&origin.0, caller.user.id, BlobId(id.0))
            .await?;
        Ok(HeadersOnly(empty(StatusCode::NO_CONTENT)))
    }
}
