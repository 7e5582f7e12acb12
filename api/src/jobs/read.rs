//! GET /v1/jobs/{id}

use plinth_core::jobs::JobAdministration;
use plinth_domain::id::JobId;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::view::{BackgroundJob, JobAttempt};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, JobsRead};

pub(crate) struct ReadJob {
    pub(super) jobs: JobAdministration,
}

impl Operation for ReadJob {}

/// A job with its failed attempts.
#[derive(Object)]
struct JobHistory {
    job: BackgroundJob,
    /// The failed attempts, the first one first. The current or successful attempt is in `job`.
    failed_attempts: Vec<JobAttempt>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl ReadJob {
    /// Read a background job and its attempts
    #[oai(path = "/jobs/:id", method = "get", operation_id = "readJob")]
    async fn read(&self, _caller: Allowed<JobsRead>, id: Path<Uuid>) -> Result<Json<JobHistory>> {
        let (job, attempts) = self.jobs.read(JobId(id.0)).await?;
        let failed_attempts = attempts.into_iter().map(JobAttempt::from).collect();
        Ok(Json(JobHistory {
            job: job.into(),
            failed_attempts,
        }))
    }
}
