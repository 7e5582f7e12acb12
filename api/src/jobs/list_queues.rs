//! GET /v1/queues

use plinth_core::jobs::JobAdministration;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::view::QueueState;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, JobsRead};

pub(crate) struct ListQueues {
    pub(super) jobs: JobAdministration,
}

impl Operation for ListQueues {}

/// All queues.
#[derive(Object)]
struct Queues {
    items: Vec<QueueState>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl ListQueues {
    /// List the queues
    #[oai(path = "/queues", method = "get", operation_id = "listQueues")]
    async fn list(&self, _caller: Allowed<JobsRead>) -> Result<Json<Queues>> {
        let items = self
            .jobs
            .queues()
            .await?
            .into_iter()
            .map(QueueState::from)
            .collect();
        Ok(Json(Queues { items }))
    }
}
