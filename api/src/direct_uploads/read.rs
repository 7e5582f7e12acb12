//! GET /v1/direct-uploads/{id}

use std::time::Duration;

use plinth_core::files::DirectUploads;
use plinth_domain::id::BlobId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use uuid::Uuid;

use super::representation::DirectUpload;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct ReadDirectUpload {
    pub(super) uploads: DirectUploads,
    pub(super) abandoned_after: Duration,
}

impl Operation for ReadDirectUpload {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadDirectUpload {
    /// Read the state of a direct upload
    #[oai(
        path = "/direct-uploads/:id",
        method = "get",
        operation_id = "readDirectUpload"
    )]
    async fn read(
        &self,
        caller: Allowed<FilesWrite>,
        id: Path<Uuid>,
    ) -> Result<Json<DirectUpload>> {
        let upload = self.uploads.find(caller.user.id, BlobId(id.0)).await?;
        Ok(Json(DirectUpload::of(upload, self.abandoned_after)))
    }
}
