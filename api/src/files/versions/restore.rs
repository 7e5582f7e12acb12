//! POST /v1/files/{id}/versions/{number}/restore

use plinth_core::files::Files;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::FileId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use uuid::Uuid;

use crate::files::representation::File;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct RestoreVersion {
    pub(super) files: Files,
}

impl Operation for RestoreVersion {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::TooManyVersions)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl RestoreVersion {
    /// Make an older version the current one
    ///
    /// Adds a copy of it as the newest version, with a new number. All other versions stay.
    #[oai(
        path = "/files/:id/versions/:number/restore",
        method = "post",
        operation_id = "restoreFileVersion"
    )]
    async fn restore(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        number: Path<i32>,
    ) -> Result<Json<File>> {
        let file = self
            .files
            .restore_version(&origin.0, caller.user.id, FileId(id.0), number.0)
            .await?;
        Ok(Json(file.into()))
    }
}
