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
use super::protocol::{check_version, empty, number, told};
use super::stretch::Stretch;
use crate::http::bare::Bare;
use crate::http::document::Tag;
use crate::http::failure::{Failure, Result};
use crate::http::octets::BYTES_REFUSALS;
use crate::http::octets::{MEDIA_TYPE, Octets};
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct AppendToUpload {
    pub(super) uploads: Resumables,
    pub(super) abandoned_after: Duration,
}

impl Operation for AppendToUpload {
    const REFUSALS: Refusals = &[
        BYTES_REFUSALS,
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
    /// Go on with a resumable upload
    ///
    /// The bytes come as `application/offset+octet-stream`. What arrives is kept though the client breaks off, unless it has an `Upload-Checksum`. With the last byte the file is
    /// made, and `Plinth-File-Id` names it.
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
        /// `1.0.0`; without it, or with another version, the request is refused with 412.
        #[oai(name = "Tus-Resumable")]
        version: Header<Option<String>>,
        /// Where the bytes of this request begin.
        #[oai(name = "Upload-Offset")]
        offset: Header<String>,
        /// Bytes of the whole, where that was not said before.
        #[oai(name = "Upload-Length")]
        length: Header<Option<String>>,
        /// `sha256` or `sha1`, and in base64 what the bytes of this request hash to.
        #[oai(name = "Upload-Checksum")]
        checksum: Header<Option<String>>,
        octets: Octets,
    ) -> Result<Bare<204>> {
        check_version(version.0.as_deref())?;
        let (owner, id) = (caller.user.id, BlobId(id.0));
        let position = number("/header/upload-offset", &offset.0)?;
        let checksum = checksum.0.as_deref().map(Checksum::read).transpose()?;
        let upload = self.uploads.find(owner, id).await?;
        if !octets.is_typed() {
            return Err(Failure::UnsupportedMediaType {
                expected: MEDIA_TYPE,
            });
        }
        if let Some(length) = &length.0 {
            let length = number("/header/upload-length", length)?;
            self.uploads
                .set_length(&origin.0, owner, id, length)
                .await?;
        }
        // The answer to the last bytes may have been lost: who sends nothing more is told again.
        if upload.made.is_none() || upload.position != position {
            let uploads = self.uploads.clone();
            let slot = uploads.slot(owner)?;
            let stretch = Stretch {
                uploads,
                origin: origin.0,
                slot,
                id,
                position,
                checksum,
            };
            stretch.add(octets).await?;
        }
        let upload = self.uploads.find(owner, id).await?;
        Ok(Bare(told(
            empty(StatusCode::NO_CONTENT),
            &upload,
            self.abandoned_after,
        )))
    }
}
