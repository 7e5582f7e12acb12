//! PATCH /v1/uploads/{id}

use std::time::Duration;

use plinth_core::files::Resumables;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::BlobId;
use poem::http::StatusCode;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path};
use uuid::Uuid;

use super::checksum::Checksum;
use super::chunk::UploadChunk;
use super::protocol::{check_version, empty, parse_bytes, with_upload_headers};
use crate::http::document::Tag;
use crate::http::failure::{Failure, Result};
use crate::http::headers_only::HeadersOnly;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};
use crate::http::upload_body::UPLOAD_BODY_REFUSALS;
use crate::http::upload_body::{MEDIA_TYPE, UploadBody};

pub(crate) struct AppendToUpload {
    pub(super) uploads: Resumables,
    pub(super) abandoned_after: Duration,
}

impl Operation for AppendToUpload {
    const REFUSALS: Refusals = &[
        UPLOAD_BODY_REFUSALS,
        &[
            (409, ErrorCode::QuotaExceeded),
            (409, ErrorCode::TooManyVersions),
            (409, ErrorCode::UploadLength),
            (409, ErrorCode::UploadOffset),
            (409, ErrorCode::UploadTakenOver),
            (412, ErrorCode::TusVersion),
            (415, ErrorCode::TypeNotAllowed),
            (429, ErrorCode::TooManyUploads),
            (460, ErrorCode::ChecksumMismatch),
        ],
    ];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl AppendToUpload {
    /// Append to a resumable upload
    ///
    /// Send the bytes as `application/offset+octet-stream`. If the connection ends early, the
    /// received bytes are kept, unless the request has an `Upload-Checksum`. With the last byte the
    /// file is created, and `Plinth-File-Id` has its id.
    #[oai(
        path = "/uploads/:id",
        method = "patch",
        operation_id = "appendToUpload"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a header of the protocol"
    )]
    async fn append(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        /// `1.0.0`. Any other version, or none, is refused (412 `tus_version`).
        #[oai(name = "Tus-Resumable")]
        version: Header<Option<String>>,
        /// The offset of the first byte of this request.
        #[oai(name = "Upload-Offset")]
        offset: Header<String>,
        /// The length of the whole upload in bytes, if it was deferred.
        #[oai(name = "Upload-Length")]
        length: Header<Option<String>>,
        /// `sha256` or `sha1`, a space, and the hash of the bytes of this request in base64.
        #[oai(name = "Upload-Checksum")]
        checksum: Header<Option<String>>,
        body: UploadBody,
    ) -> Result<HeadersOnly<204>> {
        check_version(version.0.as_deref())?;
        let (owner, id) = (caller.user.id, BlobId(id.0));
        let position = parse_bytes("/header/upload-offset", &offset.0)?;
        let checksum = checksum.0.as_deref().map(Checksum::parse).transpose()?;
        let upload = self.uploads.find(owner, id).await?;
        if !body.has_upload_type() {
            return Err(Failure::UnsupportedMediaType {
                expected: MEDIA_TYPE,
            });
        }
        if let Some(length) = &length.0 {
            let length = parse_bytes("/header/upload-length", length)?;
            self.uploads
                .set_length(&origin.0, owner, id, length)
                .await?;
        }
        // The response to the last bytes may have been lost: a request without further bytes gets
        // it again.
        if upload.made.is_none() || upload.position != position {
            let uploads = self.uploads.clone();
            let slot = uploads.slot(owner)?;
            let chunk = UploadChunk {
                uploads,
                origin: origin.0,
                slot,
                id,
                position,
                checksum,
            };
            chunk.add(body).await?;
        }
        let upload = self.uploads.find(owner, id).await?;
        Ok(HeadersOnly(with_upload_headers(
            empty(StatusCode::NO_CONTENT),
            &upload,
            self.abandoned_after,
        )))
    }
}
