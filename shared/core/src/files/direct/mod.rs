//! Direct uploads: the client sends the bytes to S3 itself, by requests that are signed for it.
//!
//! Quota is set aside for what the client says that it will send. What it sent is read back before it is a file: size and
//! SHA-256 must be what was said, and the type is what the first bytes show. A lie leaves nothing but the word for it.

mod repository;
mod service;
mod verification;

use std::time::Duration;

use plinth_domain::closed_set::Recorded;
use plinth_domain::direct_upload::{DirectRefusal, DirectUploadState};
use plinth_domain::id::{BlobId, FileId, JobId};
use plinth_domain::job::{JobPayload as _, VerifyDirectUpload};
use time::OffsetDateTime;

pub use service::{DirectUploads, MOST_SIGNED, SignedPart};
pub use verification::{DirectVerification, Verifying};

/// A direct upload as it stands.
#[derive(Debug, Clone)]
pub struct DirectUpload {
    pub id: BlobId,
    pub name: String,
    /// The file that it becomes a version of.
    pub file: Option<FileId>,
    /// Bytes, as the client said.
    pub size: u64,
    /// As the client said.
    pub sha256: [u8; 32],
    /// Bytes of every part but the last.
    pub part_size: u64,
    pub state: DirectState,
    /// What verifies it.
    pub job: Option<JobId>,
    /// When it last got on.
    pub updated_at: OffsetDateTime,
}

/// How far a direct upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectState {
    /// The client is to send bytes, and to say when it has.
    Waiting,
    /// The bytes are read back.
    Verifying,
    /// It has become this file, or a version of it.
    Done(FileId),
    /// It has become nothing.
    Refused(Recorded<DirectRefusal>),
}

impl DirectState {
    /// Returns the state without what belongs to it.
    pub fn name(&self) -> DirectUploadState {
        match self {
            Self::Waiting => DirectUploadState::Waiting,
            Self::Verifying => DirectUploadState::Verifying,
            Self::Done(_) => DirectUploadState::Done,
            Self::Refused(_) => DirectUploadState::Refused,
        }
    }
}

impl DirectUpload {
    /// Requests that it is sent in; one is a PUT of the whole.
    pub fn part_count(&self) -> u64 {
        self.size.div_ceil(self.part_size).max(1)
    }

    /// Bytes of the part of this number, which is from 1 to the count.
    fn size_of(&self, number: u64) -> u64 {
        self.part_size
            .min(self.size - (number - 1) * self.part_size)
    }

    /// When the clean-up takes it for abandoned.
    pub fn expires_at(&self, abandoned_after: Duration) -> OffsetDateTime {
        let verified = if self.state == DirectState::Verifying {
            VerifyDirectUpload::DEADLINE
        } else {
            Duration::ZERO
        };
        self.updated_at + abandoned_after.max(verified)
    }
}

/// S3 takes no more parts of one object.
const MOST_PARTS: u64 = 10_000;

const MIB: u64 = 1024 * 1024;

/// What fits into one part is sent in one request.
const PART: u64 = 16 * MIB;

/// Bytes of a part of an upload of so many: larger than usual only where there would be too many.
fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MOST_PARTS).next_multiple_of(MIB))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn upload(size: u64) -> DirectUpload {
        DirectUpload {
            id: BlobId::mint(OffsetDateTime::UNIX_EPOCH),
            name: String::new(),
            file: None,
            size,
            sha256: [0; 32],
            part_size: part_size(size),
            state: DirectState::Waiting,
            job: None,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_fits_into_a_part_is_one_request() {
        for (size, parts) in [
            (0, 1),
            (1, 1),
            (PART, 1),
            (PART + 1, 2),
            (1024 * 1024 * MIB, 9_987),
        ] {
            assert_eq!(upload(size).part_count(), parts, "{size}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_the_whole_and_as_s3_takes_them(size in 0..(5 * 1024 * 1024 * MIB)) {
            let upload = upload(size);
            let count = upload.part_count();
            prop_assert!(count <= MOST_PARTS);
            prop_assert_eq!((1..=count).map(|number| upload.size_of(number)).sum::<u64>(), size);
            prop_assert!(size == 0 || upload.size_of(count) > 0);
        }
    }
}
