//! GET /v1/files/{id}/versions/{number}/content

use plinth_core::files::Files;
use plinth_domain::id::FileId;
use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use uuid::Uuid;

use crate::files::serve::{Served, serve};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ReadVersionContent {
    pub(super) files: Files,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadVersionContent {
    /// Download a version of a file
    #[oai(
        path = "/files/:id/versions/:number/content",
        method = "get",
        operation_id = "readFileVersionContent"
    )]
    async fn read(
        &self,
        request: &Request,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
        number: Path<i32>,
    ) -> Result<Served> {
        let content = self.files.version_content(caller.user.id, FileId(id.0), number.0).await?;
        serve(&self.files, content, request).await
    }
}
