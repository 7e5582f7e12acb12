//! POST /v1/jobs/{id}/cancel

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

pub(crate) struct CancelJob {
    pub(super) jobs: JobAdministration,
}

impl Operation for CancelJob {
    const REFUSALS: Refusals = &[&[(409, ErrorCode::JobState)]];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl CancelJob {
    /// Cancel a background job
    ///
    /// A waiting job is cancelled at once. A running job is stopped when its worker renews its
    /// lease, within some seconds; until then the response has the state `running`. The effects of
    /// a running job are not undone. 409 `job_state` if the job has ended.
    #[oai(path = "/jobs/:id/cancel", method = "post", operation_id = "cancelJob")]
    async fn cancel(
        &self,
        _caller: Allowed<JobsWrite>,
        origin: RequestOrigin,
        id: Path<Uuid>,
    ) -> Result<Json<BackgroundJob>> {
        self.jobs.cancel(&origin.0, JobId(id.0)).await?;
        let (job, _) = self.jobs.read(JobId(id.0)).await?;
        Ok(Json(job.into()))
    }
}
