//! A direct upload, and the requests that it is sent in, as clients see them.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_core::files::{DirectState, SignedPart};
use plinth_domain::closed_set::Recorded;
use plinth_domain::direct_upload::{DirectRefusal, DirectUploadState};
use plinth_domain::id::{BlobId, FileId, JobId};
use poem_openapi::Object;
use time::OffsetDateTime;

/// An upload whose bytes the client sends to the object store itself.
#[derive(Object)]
pub(super) struct DirectUpload {
    id: BlobId,
    state: DirectUploadState,
    /// What the client gave.
    filename: String,
    /// The file that it becomes, or has become, a version of, or the new one that it has become.
    file_id: Option<FileId>,
    /// Bytes, as the client said.
    size: u64,
    /// In hexadecimal, as the client said.
    sha256: String,
    /// Bytes of every part but the last.
    part_size: u64,
    /// With 1 the whole is sent in one request.
    part_count: u64,
    /// The job that verifies it; GET /v1/me/jobs/{id} tells how far it is.
    job_id: Option<JobId>,
    /// Why it is refused.
    reason: Option<Recorded<DirectRefusal>>,
    /// When it is given up, or forgotten where it is over, unless it gets on.
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

/// A request to the object store, to be sent as it is.
#[derive(Object)]
pub(super) struct PartRequest {
    /// 1 for the first.
    number: u64,
    /// Bytes of the body; they are part of what is signed.
    size: u64,
    /// `PUT`.
    method: String,
    url: String,
    /// Headers that it must have.
    headers: BTreeMap<String, String>,
    /// It is taken until then; afterwards another one can be asked for.
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
