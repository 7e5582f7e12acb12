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
use super::metadata::Metadata;
use super::protocol::{check_version, empty, insert, number, refuse_concatenation, told};
use super::stretch::Stretch;
use crate::http::bare::Bare;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::octets::BYTES_REFUSALS;
use crate::http::octets::Octets;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct CreateUpload {
    pub(super) uploads: Resumables,
    pub(super) abandoned_after: Duration,
}

impl Operation for CreateUpload {
    const REFUSALS: Refusals = &[
        BYTES_REFUSALS,
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
    /// Begin a resumable upload
    ///
    /// By the tus protocol 1.0, with its first bytes, as `application/offset+octet-stream`, or without any. `Location` names
    /// the upload.
    #[oai(path = "/uploads", method = "post", operation_id = "createUpload")]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a header of the protocol"
    )]
    async fn create(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        /// `1.0.0`; without it, or with another version, the request is refused with 412.
        #[oai(name = "Tus-Resumable")]
        version: Header<Option<String>>,
        /// Bytes of the whole.
        #[oai(name = "Upload-Length")]
        length: Header<Option<String>>,
        /// `1` where the length is told later.
        #[oai(name = "Upload-Defer-Length")]
        defer: Header<Option<String>>,
        /// Keys with values in base64, of which `filename` is taken; 4096 bytes at most.
        #[oai(name = "Upload-Metadata")]
        metadata: Header<Option<String>>,
        /// `sha256` or `sha1`, and in base64 what the bytes of this request hash to.
        #[oai(name = "Upload-Checksum")]
        checksum: Header<Option<String>>,
        /// The file that it becomes another version of; a new file unless given.
        file_id: Query<Option<Uuid>>,
        mut octets: Octets,
        request: &Request,
    ) -> Result<Bare<201>> {
        check_version(version.0.as_deref())?;
        refuse_concatenation(request)?;
        let length = expected_length(length.0.as_deref(), defer.0.as_deref())?;
        let metadata = Metadata::read(metadata.0)?;
        let checksum = checksum.0.as_deref().map(Checksum::read).transpose()?;
        let owner = caller.user.id;
        // Before anything is begun that a refusal would leave behind.
        octets.require_type().await?;
        let slot = self.uploads.slot(owner)?;
        let file = file_id.0.map(FileId);
        let mut upload = self
            .uploads
            .begin(&origin.0, owner, metadata.described(), file, length)
            .await?;
        let id = upload.id;
        if octets.is_typed() || upload.is_whole() {
            let stretch = Stretch {
                uploads: self.uploads.clone(),
                origin: origin.0,
                slot,
                id,
                position: 0,
                checksum,
            };
            stretch.add(octets).await?;
            upload = self.uploads.find(owner, id).await?;
        }
        let mut response = told(empty(StatusCode::CREATED), &upload, self.abandoned_after);
        insert(
            &mut response,
            header::LOCATION,
            &format!("/v1/uploads/{id}"),
        );
        Ok(Bare(response))
    }
}

fn expected_length(length: Option<&str>, defer: Option<&str>) -> plinth_core::Result<Option<u64>> {
    match (length, defer) {
        (Some(length), None) => number("/header/upload-length", length).map(Some),
        (None, Some("1")) => Ok(None),
        _ => {
            let detail = "Either Upload-Length or Upload-Defer-Length: 1 is expected.";
            Err(Error::invalid(
                "/header/upload-length",
                Rejection::new("missing", detail),
            ))
        }
    }
}
