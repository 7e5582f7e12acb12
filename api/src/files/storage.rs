//! GET /v1/me/storage

use plinth_core::files::Files;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ReadStorage {
    pub(super) files: Files,
}

impl Operation for ReadStorage {}

/// The storage usage of an account and its limits.
#[derive(Object)]
struct Storage {
    /// Bytes used by files, their older versions and the trash.
    used_bytes: i64,
    /// Bytes reserved for unfinished uploads.
    reserved_bytes: i64,
    /// The limit of used and reserved bytes; null if unlimited.
    quota_bytes: Option<u64>,
    /// The number of files, including the trash.
    files: i64,
    /// The limit of the number of files; null if unlimited.
    max_files: Option<u64>,
    /// The limit of the size of one file, in bytes.
    max_file_bytes: u64,
    /// The allowed content types, as detected from the first bytes.
    allowed_types: String,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadStorage {
    /// Read your storage usage and limits
    #[oai(path = "/me/storage", method = "get", operation_id = "readStorage")]
    async fn read(&self, caller: Allowed<FilesRead>) -> Result<Json<Storage>> {
        let (usage, bounds) = self.files.storage(caller.user.id).await?;
        let bound = |bound: u64| Some(bound).filter(|bound| *bound > 0);
        Ok(Json(Storage {
            used_bytes: usage.bytes,
            reserved_bytes: usage.reserved,
            quota_bytes: bound(bounds.quota.bytes),
            files: usage.files,
            max_files: bound(bounds.quota.files),
            max_file_bytes: bounds.size,
            allowed_types: bounds.types.to_string(),
        }))
    }
}
