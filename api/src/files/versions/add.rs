//! POST /v1/files/{id}/versions

use plinth_core::files::Files;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::FileId;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use uuid::Uuid;

use crate::files::receive::FORM_REFUSALS;
use crate::files::receive::{self, Destination};
use crate::files::representation::File;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::multipart::FileForm;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct AddVersion {
    pub(super) files: Files,
}

impl Operation for AddVersion {
    const REFUSALS: Refusals = &[FORM_REFUSALS, &[(409, ErrorCode::TooManyVersions)]];
}

#[derive(ApiResponse)]
enum VersionAdded {
    /// The version is stored, and is the current one.
    #[oai(status = 201)]
    Added(Json<File>),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl AddVersion {
    /// Upload a new version of a file
    ///
    /// Takes a form like `POST /v1/files`. The file keeps its name and its tags.
    #[oai(
        path = "/files/:id/versions",
        method = "post",
        operation_id = "addFileVersion"
    )]
    async fn add(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
        form: FileForm,
    ) -> Result<VersionAdded> {
        let destination = Destination::Version(FileId(id.0));
        let file =
            receive::receive(&self.files, origin.0, caller.user.id, destination, form).await?;
        Ok(VersionAdded::Added(Json(file.into())))
    }
}
