//! Direct uploads and their requests to the object store in responses.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_core::files::{DirectState, SignedPart};
use plinth_domain::closed_set::Recorded;
use plinth_domain::direct_upload::{DirectRefusal, DirectUploadState};
use plinth_domain::id::{BlobId, FileId, JobId};
use poem_openapi::Object;
use time::OffsetDateTime;

/// An upload whose bytes the client sends directly to the object store.
#[derive(Object)]
pub(super) struct DirectUpload {
    id: BlobId,
    /// `waiting` for bytes or for completion, `verifying`, `done` or `refused`.
    state: DirectUploadState,
    /// The file name that the client declared.
    filename: String,
    /// The file that gets a new version, or the file that was created. Null for a new file until it
    /// exists.
    file_id: Option<FileId>,
    /// The declared size in bytes.
    size: u64,
    /// The declared SHA-256, in hexadecimal.
    sha256: String,
    /// The size of every part except the last, in bytes.
    part_size: u64,
    /// The number of parts. If it is 1, all bytes are sent in one request.
    part_count: u64,
    /// The job that verifies the upload; `GET /v1/me/jobs/{id}` returns its progress.
    job_id: Option<JobId>,
    /// Why the upload was refused: `incomplete`, `wrong_size`, `wrong_checksum`, `quota_exceeded`,
    /// `type_not_allowed`, `too_many_versions` or `file_gone`.
    reason: Option<Recorded<DirectRefusal>>,
    /// When the upload is abandoned unless it makes progress, or, after it has ended, when it is
    /// deleted.
    expires_at: OffsetDateTime,
}

impl DirectUpload {
    pub(super) fn of(upload: plinth_core::files::DirectUpload, abandoned_after: Duration) -> Self {
        let (made, reason) = match &upload.state {
            DirectState::Done(file) => (Some(*file), None),
            DirectState::Refused(reason) => (None, Some(reason.clone())),
            DirectState::Waiting | DirectState::Verifying => (None, None),
        };
        Self {
            id: upload.id,
            state: upload.state.name(),
            file_id: made.or(upload.file),
            size: upload.size,
            sha256: plinth_platform::crypto::hex(&upload.sha256),
            part_size: upload.part_size,
            part_count: upload.part_count(),
            job_id: upload.job,
            reason,
            expires_at: upload.expires_at(abandoned_after),
            filename: upload.name,
        }
    }
}

/// A signed request to the object store, to be sent unchanged.
#[derive(Object)]
pub(super) struct PartRequest {
    /// The number of the part, from 1.
    number: u64,
    /// The size of the body in bytes, which is part of the signature.
    size: u64,
    /// Always `PUT`.
    method: String,
    url: String,
    /// The headers that the request must have.
    headers: BTreeMap<String, String>,
    /// When the signature expires. Sign the part again after that.
    expires_at: OffsetDateTime,
}

impl From<SignedPart> for PartRequest {
    fn from(part: SignedPart) -> Self {
        Self {
            number: part.number,
            size: part.size,
            method: "PUT".to_owned(),
            url: part.request.url,
            headers: part.request.headers.into_iter().collect(),
            expires_at: part.expires_at,
        }
    }
}
