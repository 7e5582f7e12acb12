//! A file in responses.

use plinth_domain::file::{FileState, MetadataState, ScanState, VariantFailure, VariantState};
use plinth_domain::id::{FileId, JobId};
use poem_openapi::Object;
use time::OffsetDateTime;

/// A stored file.
#[derive(Object)]
pub(super) struct File {
    pub(super) id: FileId,
    /// The display name that the client sent.
    name: String,
    tags: Vec<String>,
    /// The content type, detected from the bytes and, for text, from the name. The type that the
    /// client sent is ignored.
    content_type: String,
    /// The size in bytes.
    size: i64,
    /// The SHA-256 in hexadecimal.
    sha256: String,
    /// `ready` or `trashed`.
    state: FileState,
    /// The number of the current version.
    version: i32,
    scan: Scan,
    metadata: Metadata,
    /// The width in pixels, after the orientation is applied. Null if the file is not an image or
    /// not processed yet.
    width: Option<i64>,
    /// The height in pixels.
    height: Option<i64>,
    /// When the picture was taken, by the clock of the camera: RFC 3339, without an offset if the
    /// camera did not record one.
    taken_at: Option<String>,
    /// A placeholder for the image until it is loaded (blurha.sh).
    blurhash: Option<String>,
    /// The images derived from the file; empty if the file is not an image.
    variants: Vec<Variant>,
    /// The job that derives them; `GET /v1/me/jobs/{id}` returns its progress.
    job_id: Option<JobId>,
    created_at: OffsetDateTime,
    /// When the name, the tags or the content last changed.
    updated_at: OffsetDateTime,
    trashed_at: Option<OffsetDateTime>,
}

/// The result of the virus scan.
#[derive(Object)]
struct Scan {
    /// `pending` until the scan is done, then `clean`, `infected`, or `too_large` for the scanner.
    /// `unscanned` if there was no scanner. A file that is `pending` or `infected` cannot be
    /// downloaded, nor one that is `too_large` unless the deployment allows it.
    state: ScanState,
    /// When the scan was done.
    scanned_at: Option<OffsetDateTime>,
    /// The name of the virus.
    signature: Option<String>,
}

/// The state of the metadata in an image: locations, cameras, times, comments.
#[derive(Object)]
struct Metadata {
    /// `kept` if metadata is not removed. If the deployment removes it: `pending` until it is
    /// removed, then `stripped`, and size, hash and content are those of the new bytes; or
    /// `failed`. A file that is `pending` or `failed` cannot be downloaded.
    state: MetadataState,
    /// Why removing the metadata failed.
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
    /// The name of a preset of the deployment. By default `small`, which fits into 256 x 256
    /// pixels, and `large`, which fits into 1024 x 1024.
    preset: String,
    /// `pending`, `ready` or `failed`.
    state: VariantState,
    /// The width in pixels.
    width: Option<i32>,
    /// The height in pixels.
    height: Option<i32>,
    content_type: Option<String>,
    /// The size in bytes.
    size: Option<i64>,
    /// Why it failed.
    reason: Option<String>,
    /// The kind of failure: `unreadable` if the image cannot be derived from this file, `internal`
    /// for an error of the service, which operators find among the dead letters.
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

/// A version of a file.
#[derive(Object)]
pub(super) struct FileVersion {
    /// The number of the version, from 1.
    number: i32,
    content_type: String,
    /// The size in bytes.
    size: i64,
    /// The SHA-256 in hexadecimal.
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
