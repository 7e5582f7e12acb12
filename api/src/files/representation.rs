//! A file as clients see it.

use plinth_domain::file::{FileState, MetadataState, ScanState, VariantFailure, VariantState};
use plinth_domain::id::{FileId, JobId};
use poem_openapi::Object;
use time::OffsetDateTime;

/// A stored file.
#[derive(Object)]
pub(super) struct File {
    pub(super) id: FileId,
    /// For display; what the client gave.
    name: String,
    tags: Vec<String>,
    /// What the bytes show and, of a text, the name; whatever the client said.
    content_type: String,
    /// Bytes.
    size: i64,
    /// In hexadecimal.
    sha256: String,
    state: FileState,
    /// The number of the version that is shown here.
    version: i32,
    scan: Scan,
    metadata: Metadata,
    /// Pixels of the picture as it is seen; absent where it is none, or not read yet.
    width: Option<i64>,
    /// Pixels.
    height: Option<i64>,
    /// When the picture was taken, as the camera's clock showed it: RFC 3339, without an offset where the camera did not
    /// tell it.
    taken_at: Option<String>,
    /// What stands for the picture until it is there (blurha.sh).
    blurhash: Option<String>,
    /// The images derived from it; empty where it is no image.
    variants: Vec<Variant>,
    /// The job that makes them; GET /v1/me/jobs/{id} tells how far it is.
    job_id: Option<JobId>,
    created_at: OffsetDateTime,
    /// When its name, its tags or its content last changed.
    updated_at: OffsetDateTime,
    trashed_at: Option<OffsetDateTime>,
}

/// What a scanner for viruses says of the bytes.
#[derive(Object)]
struct Scan {
    /// `pending` until it has answered; then `clean`, `infected`, or `too_large` for it. `unscanned` where there is none, or
    /// was none. Nobody can download what is `pending` or `infected`, nor, unless this installation allows it, what is
    /// `too_large`.
    state: ScanState,
    /// When it answered.
    scanned_at: Option<OffsetDateTime>,
    /// The name of what was found.
    signature: Option<String>,
}

/// What was done about the metadata of a picture: places, cameras, times, comments.
#[derive(Object)]
struct Metadata {
    /// `kept` where nothing is taken out. Where this installation does so: `pending` until it was done, then `stripped`, and
    /// size, hash and content are those of the new bytes; or `failed`. Nobody can download what is `pending` or `failed`.
    state: MetadataState,
    /// Why it failed.
    reason: Option<String>,
}

impl From<plinth_domain::file::Metadata> for Metadata {
    fn from(metadata: plinth_domain::file::Metadata) -> Self {
        Self {
            state: metadata.state,
            reason: metadata.reason,
        }
    }
}

impl From<plinth_domain::file::Scan> for Scan {
    fn from(scan: plinth_domain::file::Scan) -> Self {
        Self {
            state: scan.state,
            scanned_at: scan.at,
            signature: scan.signature,
        }
    }
}

/// An image derived from a file.
#[derive(Object)]
struct Variant {
    /// Its name among the presets of this installation. `small`, which fits 256 x 256 pixels, and `large`, which fits
    /// 1024 x 1024, where it has chosen no others.
    preset: String,
    state: VariantState,
    /// Pixels.
    width: Option<i32>,
    /// Pixels.
    height: Option<i32>,
    content_type: Option<String>,
    /// Bytes.
    size: Option<i64>,
    /// Why it failed.
    reason: Option<String>,
    /// Whose fault it is that it failed: `unreadable` if the image cannot be made of this file, `internal` if it is an
    /// error of this service, which operators find among the dead letters.
    code: Option<VariantFailure>,
}

impl From<plinth_domain::file::File> for File {
    fn from(file: plinth_domain::file::File) -> Self {
        let sha256 = file.sha256_hex();
        let picture = file.picture;
        Self {
            id: file.id,
            name: file.name,
            tags: file
                .tags
                .iter()
                .map(|tag| tag.as_str().to_owned())
                .collect(),
            content_type: file.content_type,
            size: file.size,
            sha256,
            state: file.state,
            version: file.version,
            scan: file.scan.into(),
            metadata: file.metadata.into(),
            job_id: file.job,
            width: picture.as_ref().map(|picture| picture.width.into()),
            height: picture.as_ref().map(|picture| picture.height.into()),
            taken_at: picture
                .as_ref()
                .and_then(|picture| picture.taken_at.as_ref())
                .map(ToString::to_string),
            blurhash: picture
                .and_then(|picture| picture.blurhash)
                .map(|hash| hash.to_string()),
            variants: file.variants.into_iter().map(Variant::from).collect(),
            created_at: file.created_at,
            updated_at: file.updated_at,
            trashed_at: file.trashed_at,
        }
    }
}

impl From<plinth_domain::file::Variant> for Variant {
    fn from(variant: plinth_domain::file::Variant) -> Self {
        let rendition = variant.rendition;
        Self {
            preset: variant.preset.to_string(),
            state: variant.state,
            width: rendition.as_ref().map(|made| made.width),
            height: rendition.as_ref().map(|made| made.height),
            size: rendition.as_ref().map(|made| made.size),
            content_type: rendition.map(|made| made.content_type),
            reason: variant.reason,
            code: variant.failure,
        }
    }
}

/// What a file was at some time.
#[derive(Object)]
pub(super) struct FileVersion {
    /// 1 for the first.
    number: i32,
    content_type: String,
    /// Bytes.
    size: i64,
    /// In hexadecimal.
    sha256: String,
    scan: Scan,
    metadata: Metadata,
    created_at: OffsetDateTime,
}

impl From<plinth_domain::file::Version> for FileVersion {
    fn from(version: plinth_domain::file::Version) -> Self {
        Self {
            number: version.number,
            sha256: version.sha256_hex(),
            content_type: version.content_type,
            size: version.size,
            scan: version.scan.into(),
            metadata: version.metadata.into(),
            created_at: version.created_at,
        }
    }
}
