//! GET /v1/me/jobs/{id}

use plinth_core::jobs::OwnJobs;
use plinth_domain::id::JobId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use uuid::Uuid;

use super::view::OwnJob;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ReadOwnJob {
    pub(super) jobs: OwnJobs,
}

impl Operation for ReadOwnJob {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ReadOwnJob {
    /// Read the progress of one of your jobs
    #[oai(path = "/me/jobs/:id", method = "get", operation_id = "readOwnJob")]
    async fn read(&self, caller: Allowed<FilesRead>, id: Path<Uuid>) -> Result<Json<OwnJob>> {
        Ok(Json(
            self.jobs.find(caller.user.id, JobId(id.0)).await?.into(),
        ))
    }
}
