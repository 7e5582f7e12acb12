//! GET /v1/files/{id}

use plinth_core::files::Files;
use plinth_domain::id::FileId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use uuid::Uuid;

use super::representation::File;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ReadFile {
    pub(super) files: Files,
}

impl Operation for ReadFile {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadFile {
    /// Read a file's metadata
    #[oai(path = "/files/:id", method = "get", operation_id = "readFile")]
    async fn read(&self, caller: Allowed<FilesRead>, id: Path<Uuid>) -> Result<Json<File>> {
        Ok(Json(
            self.files.find(caller.user.id, FileId(id.0)).await?.into(),
        ))
    }
}
