//! POST /v1/direct-uploads

use std::time::Duration;

use plinth_core::error::Faults;
use plinth_core::files::DirectUploads;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::FileName;
use plinth_domain::id::FileId;
use plinth_domain::rejection::Rejection;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use super::representation::{DirectUpload, PartRequest};
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct CreateDirectUpload {
    pub(super) uploads: DirectUploads,
    pub(super) abandoned_after: Duration,
}

impl Operation for CreateDirectUpload {
    const REFUSALS: Refusals = &[&[
        (403, ErrorCode::DirectUploadsOff),
        (404, ErrorCode::NotFound),
        (409, ErrorCode::QuotaExceeded),
        (409, ErrorCode::TooManyUnfinishedUploads),
        (409, ErrorCode::TooManyVersions),
        (413, ErrorCode::TooLarge),
    ]];
}

/// The declaration of a direct upload.
#[derive(Object)]
struct CreateDirectUploadRequest {
    /// The file name: up to 255 bytes, without a path.
    filename: String,
    /// The size in bytes.
    size: i64,
    /// The SHA-256 of all bytes, in hexadecimal.
    sha256: String,
    /// The file that gets a new version. A new file by default.
    file_id: Option<Uuid>,
}

/// A direct upload that was started.
#[derive(Object)]
struct BegunDirectUpload {
    upload: DirectUpload,
    /// The request that sends all bytes, if there is only one part. Otherwise sign the parts.
    put: Option<PartRequest>,
}

#[derive(ApiResponse)]
enum Begun {
    /// The upload was started, and its bytes are reserved.
    #[oai(status = 201)]
    Begun(Json<BegunDirectUpload>, #[oai(header = "Location")] String),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl CreateDirectUpload {
    /// Start an upload directly to the object store
    ///
    /// Up to 16 MiB are sent in one request, `put`. More bytes are sent in parts, each by a request
    /// that has to be signed. Complete the upload after all bytes were sent. 403
    /// `direct_uploads_off` if the deployment does not allow direct uploads. The bytes are not
    /// encrypted with a key of their own: only the encryption of the bucket applies.
    #[oai(
        path = "/direct-uploads",
        method = "post",
        operation_id = "createDirectUpload"
    )]
    async fn create(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        body: Body<CreateDirectUploadRequest>,
    ) -> Result<Begun> {
        let owner = caller.user.id;
        let UploadParameters {
            name,
            file,
            size,
            sha256,
        } = parse(&body.0)?;
        let upload = self
            .uploads
            .begin(&origin.0, owner, &name, file, size, sha256)
            .await?;
        let put = if upload.part_count() == 1 {
            self.uploads
                .sign(owner, upload.id, &[1])
                .await?
                .pop()
                .map(PartRequest::from)
        } else {
            None
        };
        let location = format!("/v1/direct-uploads/{}", upload.id);
        let upload = DirectUpload::of(upload, self.abandoned_after);
        Ok(Begun::Begun(
            Json(BegunDirectUpload { upload, put }),
            location,
        ))
    }
}

struct UploadParameters {
    name: FileName,
    file: Option<FileId>,
    size: u64,
    sha256: [u8; 32],
}

fn parse(request: &CreateDirectUploadRequest) -> plinth_core::Result<UploadParameters> {
    let mut faults = Faults::default();
    let name = faults.keep("/filename", FileName::clean(&request.filename));
    let size = u64::try_from(request.size);
    let size = faults.keep(
        "/size",
        size.map_err(|_| Rejection::new("out_of_range", "Size must not be negative.")),
    );
    let sha256 = faults.keep("/sha256", parse_digest(&request.sha256));
    let file = request.file_id.map(FileId);
    let whole = match (name, size, sha256) {
        (Some(name), Some(size), Some(sha256)) => Some(UploadParameters {
            name,
            file,
            size,
            sha256,
        }),
        _ => None,
    };
    faults.into_result(whole)
}

fn parse_digest(text: &str) -> std::result::Result<[u8; 32], Rejection> {
    let malformed = || Rejection::new("invalid_digest", "Expected 64 hexadecimal digits.");
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    let mut parse_digest = [0; 32];
    for (index, byte) in parse_digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| malformed())?;
    }
    Ok(parse_digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_sixty_four_hexadecimal_digits() {
        let text = format!("{}fF", "00".repeat(31));
        assert_eq!(parse_digest(&text).expect("is read")[31], 255);
        for wrong in [
            String::new(),
            "0".repeat(63),
            "g".repeat(64),
            "+1".repeat(32),
            "ü".repeat(32),
        ] {
            assert!(parse_digest(&wrong).is_err(), "{wrong}");
        }
    }
}
