//! POST /v1/queues/{name}/pause

use plinth_core::jobs::JobAdministration;
use plinth_domain::job::Queue;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};

use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, JobsWrite};

pub(crate) struct PauseQueue {
    pub(super) jobs: JobAdministration,
}

impl Operation for PauseQueue {}

#[derive(ApiResponse)]
enum Paused {
    /// The queue is paused.
    #[oai(status = 204)]
    Paused,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl PauseQueue {
    /// Pause a queue
    ///
    /// No worker starts jobs of the queue, also after a restart, until the queue is resumed.
    /// Running jobs continue.
    #[oai(
        path = "/queues/:name/pause",
        method = "post",
        operation_id = "pauseQueue"
    )]
    async fn pause(
        &self,
        _caller: Allowed<JobsWrite>,
        origin: RequestOrigin,
        name: Path<Queue>,
    ) -> Result<Paused> {
        self.jobs.pause(&origin.0, name.0).await?;
        Ok(Paused::Paused)
    }
}
