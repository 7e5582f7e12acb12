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

/// What the files of an account take, and what they may.
#[derive(Object)]
struct Storage {
    /// Bytes of its files, their older versions and its trash.
    used_bytes: i64,
    /// Bytes set aside for uploads under way.
    reserved_bytes: i64,
    /// Absent where there is no bound.
    quota_bytes: Option<u64>,
    /// Files, those in the trash too.
    files: i64,
    /// Absent where there is no bound.
    max_files: Option<u64>,
    /// Bytes of one file, at most.
    max_file_bytes: u64,
    /// Which types a file may be of, as its first bytes show.
    allowed_types: String,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadStorage {
    /// Read how much the own files take, and may take
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
