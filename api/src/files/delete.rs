//! DELETE /v1/files/{id}

use plinth_core::files::Files;
use plinth_domain::id::FileId;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct DeleteFile {
    pub(super) files: Files,
}

#[derive(ApiResponse)]
enum Deleted {
    /// The file is gone.
    #[oai(status = 204)]
    Deleted,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl DeleteFile {
    /// Delete a file
    ///
    /// It is gone at once, with everything derived from it; its bytes are removed in the background.
    #[oai(path = "/files/:id", method = "delete", operation_id = "deleteFile")]
    async fn delete(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Deleted> {
        self.files.delete(&origin.0, caller.user.id, FileId(id.0)).await?;
        Ok(Deleted::Deleted)
    }
}
