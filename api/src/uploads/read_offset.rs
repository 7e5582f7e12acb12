//! HEAD /v1/uploads/{id}

use std::time::Duration;

use plinth_core::files::Resumables;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::BlobId;
use poem::http::StatusCode;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path};
use uuid::Uuid;

use super::protocol::{METADATA, check_version, empty, insert, with_upload_headers};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::headers_only::HeadersOnly;
use crate::http::operation::{Operation, Refusals};
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct ReadUploadOffset {
    pub(super) uploads: Resumables,
    pub(super) abandoned_after: Duration,
}

impl Operation for ReadUploadOffset {
    const REFUSALS: Refusals = &[&[(412, ErrorCode::TusVersion)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadUploadOffset {
    /// Read the offset of a resumable upload
    ///
    /// `Upload-Offset` is the offset at which to continue, `Upload-Metadata` the metadata of the
    /// client, and `Plinth-File-Id` the id of the created file. If an upload has all of its bytes
    /// but no file yet, the file is created within minutes, or at once by a PATCH without bytes.
    #[oai(path = "/uploads/:id", method = "head", operation_id = "tellUpload")]
    async fn read(
        &self,
        caller: Allowed<FilesWrite>,
        id: Path<Uuid>,
        /// `1.0.0`. Any other version, or none, is refused (412 `tus_version`).
        #[oai(name = "Tus-Resumable")]
        version: Header<Option<String>>,
    ) -> Result<HeadersOnly<200>> {
        check_version(version.0.as_deref())?;
        let (owner, id) = (caller.user.id, BlobId(id.0));
        let upload = self.uploads.find(owner, id).await?;
        let mut response =
            with_upload_headers(empty(StatusCode::OK), &upload, self.abandoned_after);
        if let Some(metadata) = &upload.metadata {
            insert(&mut response, METADATA, metadata);
        }
        Ok(HeadersOnly(response))
    }
}
