//! POST /v1/uploads

use std::time::Duration;

use plinth_core::Error;
use plinth_core::files::Resumables;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::FileId;
use plinth_domain::rejection::Rejection;
use poem::Request;
use poem::http::{StatusCode, header};
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Query};
use uuid::Uuid;

use super::checksum::Checksum;
use super::chunk::UploadChunk;
use super::metadata::Metadata;
use super::protocol::{
    check_version, empty, insert, parse_bytes, refuse_concatenation, with_upload_headers,
};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::headers_only::HeadersOnly;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};
use crate::http::upload_body::UPLOAD_BODY_REFUSALS;
use crate::http::upload_body::UploadBody;

pub(crate) struct CreateUpload {
    pub(super) uploads: Resumables,
    pub(super) abandoned_after: Duration,
}

impl Operation for CreateUpload {
    const REFUSALS: Refusals = &[
        UPLOAD_BODY_REFUSALS,
        &[
            (404, ErrorCode::NotFound),
            (409, ErrorCode::QuotaExceeded),
            (409, ErrorCode::TooManyUnfinishedUploads),
            (409, ErrorCode::TooManyVersions),
            (412, ErrorCode::TusVersion),
            (415, ErrorCode::TypeNotAllowed),
            (429, ErrorCode::TooManyUploads),
            (460, ErrorCode::ChecksumMismatch),
        ],
    ];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl CreateUpload {
    /// Start a resumable upload
    ///
    /// Follows the tus protocol 1.0, with or without the first bytes as
    /// `application/offset+octet-stream`. `Location` has the URL of the upload.
    #[oai(path = "/uploads", method = "post", operation_id = "createUpload")]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a header of the protocol"
    )]
    async fn create(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        /// `1.0.0`. Any other version, or none, is refused (412 `tus_version`).
        #[oai(name = "Tus-Resumable")]
        version: Header<Option<String>>,
        /// The length of the whole upload in bytes.
        #[oai(name = "Upload-Length")]
        length: Header<Option<String>>,
        /// `1` if the length is sent later.
        #[oai(name = "Upload-Defer-Length")]
        defer: Header<Option<String>>,
        /// Keys with values in base64, at most 4096 bytes. `filename` is the name of the file.
        #[oai(name = "Upload-Metadata")]
        metadata: Header<Option<String>>,
        /// `sha256` or `sha1`, a space, and the hash of the bytes of this request in base64.
        #[oai(name = "Upload-Checksum")]
        checksum: Header<Option<String>>,
        /// The file that gets a new version. A new file by default.
        file_id: Query<Option<Uuid>>,
        mut body: UploadBody,
        request: &Request,
    ) -> Result<HeadersOnly<201>> {
        check_version(version.0.as_deref())?;
        refuse_concatenation(request)?;
        let length = expected_length(length.0.as_deref(), defer.0.as_deref())?;
        let metadata = Metadata::parse(metadata.0)?;
        let checksum = checksum.0.as_deref().map(Checksum::parse).transpose()?;
        let owner = caller.user.id;
        // A refusal must not leave an upload behind.
        body.require_media_type().await?;
        let slot = self.uploads.slot(owner)?;
        let file = file_id.0.map(FileId);
        let mut upload = self
            .uploads
            .begin(&origin.0, owner, metadata.parts(), file, length)
            .await?;
        let id = upload.id;
        if body.has_upload_type() || upload.is_whole() {
            let chunk = UploadChunk {
                uploads: self.uploads.clone(),
                origin: origin.0,
                slot,
                id,
                position: 0,
                checksum,
            };
            chunk.add(body).await?;
            upload = self.uploads.find(owner, id).await?;
        }
        let mut response =
            with_upload_headers(empty(StatusCode::CREATED), &upload, self.abandoned_after);
        insert(
            &mut response,
            header::LOCATION,
            &format!("/v1/uploads/{id}"),
        );
        Ok(HeadersOnly(response))
    }
}

fn expected_length(length: Option<&str>, defer: Option<&str>) -> plinth_core::Result<Option<u64>> {
    match (length, defer) {
        (Some(length), None) => parse_bytes("/header/upload-length", length).map(Some),
        (None, Some("1")) => Ok(None),
        _ => {
            let detail = "Expected either Upload-Length or Upload-Defer-Length: 1.";
            Err(Error::invalid(
                "/header/upload-length",
                Rejection::new("missing", detail),
            ))
        }
    }
}
