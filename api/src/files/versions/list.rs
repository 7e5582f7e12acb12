//! GET /v1/files/{id}/versions

use plinth_core::files::Files;
use plinth_domain::id::FileId;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use crate::files::representation::FileVersion;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ListVersions {
    pub(super) files: Files,
}

impl Operation for ListVersions {}

/// A page of the versions of a file, the newest first.
#[derive(Object)]
struct FileVersions {
    items: Vec<FileVersion>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ListVersions {
    /// List the versions of a file
    #[oai(
        path = "/files/:id/versions",
        method = "get",
        operation_id = "listFileVersions"
    )]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
        /// Only versions with a lower number.
        before: Query<Option<i32>>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
    ) -> Result<Json<FileVersions>> {
        let limit = limit.0.unwrap_or(50);
        let versions = self
            .files
            .versions(caller.user.id, FileId(id.0), before.0, limit)
            .await?;
        Ok(Json(FileVersions {
            items: versions.into_iter().map(FileVersion::from).collect(),
        }))
    }
}
