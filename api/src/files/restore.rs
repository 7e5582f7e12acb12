//! POST /v1/files/{id}/restore

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
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct RestoreFile {
    pub(super) files: Files,
}

impl Operation for RestoreFile {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl RestoreFile {
    /// Restore a file from the trash
    ///
    /// The file keeps its tags and versions.
    #[oai(
        path = "/files/:id/restore",
        method = "post",
        operation_id = "restoreFile"
    )]
    async fn restore(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Json<File>> {
        Ok(Json(
            self.files
                .restore(&origin.0, caller.user.id, FileId(id.0))
                .await?
                .into(),
        ))
    }
}
