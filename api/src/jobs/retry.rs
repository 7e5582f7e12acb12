//! POST /v1/jobs/{id}/retry

use plinth_core::jobs::JobAdministration;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::JobId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use uuid::Uuid;

use super::view::BackgroundJob;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, JobsWrite};

pub(crate) struct RetryJob {
    pub(super) jobs: JobAdministration,
}

impl Operation for RetryJob {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::JobState)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl RetryJob {
    /// Retry a background job
    ///
    /// A job that is dead, cancelled or waiting for a retry is due at once, with all of its
    /// attempts again. 409 `job_state` in any other state.
    #[oai(path = "/jobs/:id/retry", method = "post", operation_id = "retryJob")]
    async fn retry(
        &self,
        _caller: Allowed<JobsWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Json<BackgroundJob>> {
        self.jobs.retry(&origin.0, JobId(id.0)).await?;
        let (job, _) = self.jobs.read(JobId(id.0)).await?;
        Ok(Json(job.into()))
    }
}
