//! POST /v1/queues/{name}/resume

use plinth_core::jobs::JobAdministration;
use plinth_domain::job::Queue;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, JobsWrite};

pub(crate) struct ResumeQueue {
    pub(super) jobs: JobAdministration,
}

impl Operation for ResumeQueue {}

#[derive(ApiResponse)]
enum Resumed {
    /// The queue is resumed.
    #[oai(status = 204)]
    Resumed,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl ResumeQueue {
    /// Resume a queue
    ///
    /// Workers start its jobs again within a second.
    #[oai(
        path = "/queues/:name/resume",
        method = "post",
        operation_id = "resumeQueue"
    )]
    async fn resume(
        &self,
        _caller: Allowed<JobsWrite>,
        origin: RequestOrigin,
        name: Path<Queue>,
    ) -> Result<Resumed> {
        self.jobs.resume(&origin.0, name.0).await?;
        Ok(Resumed::Resumed)
    }
}
