//! DELETE /v1/files/{id}/versions/{number}

use plinth_core::files::Files;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::FileId;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct DeleteVersion {
    pub(super) files: Files,
}

impl Operation for DeleteVersion {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::CurrentVersion)]];
}

#[derive(ApiResponse)]
enum VersionDeleted {
    /// The version was deleted.
    #[oai(status = 204)]
    Deleted,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl DeleteVersion {
    /// Delete an older version of a file
    ///
    /// Permanently deletes the version. The current version cannot be deleted (409
    /// `current_version`).
    #[oai(
        path = "/files/:id/versions/:number",
        method = "delete",
        operation_id = "deleteFileVersion"
    )]
    async fn delete(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        number: Path<i32>,
    ) -> Result<VersionDeleted> {
        self.files
            .delete_version(&origin.0, caller.user.id, FileId(id.0), number.0)
            .await?;
        Ok(VersionDeleted::Deleted)
    }
}
