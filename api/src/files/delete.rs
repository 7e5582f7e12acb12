//! DELETE /v1/files/{id}

use plinth_core::files::Files;
use plinth_domain::id::FileId;
use poem_openapi::param::{Path, Query};
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct DeleteFile {
    pub(super) files: Files,
}

impl Operation for DeleteFile {}

#[derive(ApiResponse)]
enum Deleted {
    /// The file is in the trash, or permanently deleted.
    #[oai(status = 204)]
    Deleted,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl DeleteFile {
    /// Delete a file
    ///
    /// Moves the file to the trash, from which it can be restored for some time. A file in the
    /// trash counts against the quota. With `permanently`, the file is deleted at once, also from
    /// the trash, with its versions and derived images; the bytes are removed in the background.
    #[oai(path = "/files/:id", method = "delete", operation_id = "deleteFile")]
    async fn delete(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        /// Whether to skip the trash. False by default.
        permanently: Query<Option<bool>>,
    ) -> Result<Deleted> {
        let (owner, id) = (caller.user.id, FileId(id.0));
        if permanently.0.unwrap_or(false) {
            self.files.delete(&origin.0, owner, id).await?;
        } else {
            self.files.trash(&origin.0, owner, id).await?;
        }
        Ok(Deleted::Deleted)
    }
}
