//! POST /v1/jobs/redrive

use plinth_core::jobs::{self, JobAdministration, JobFilter};
use plinth_domain::id::UserId;
use plinth_domain::job::Queue;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::view::search;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, JobsWrite};
use crate::http::utc_time::UtcTime;

pub(crate) struct RedriveJobs {
    pub(super) jobs: JobAdministration,
}

impl Operation for RedriveJobs {}

/// Which dead letters; without any field all of them.
#[derive(Object)]
struct RedriveJobsRequest {
    queue: Option<Queue>,
    /// E.g. `email.verification`.
    kind: Option<String>,
    /// Asked for at this time or later.
    from: Option<UtcTime>,
    /// Asked for before this time.
    until: Option<UtcTime>,
    /// Asked for by this account.
    user_id: Option<Uuid>,
    /// With this text in the last error.
    error: Option<String>,
}

/// What came of it.
#[derive(Object)]
struct Redriven {
    /// Dead letters that are due again.
    count: u64,
    /// Dead letters that could not be made due; the log says why.
    passed_over: u64,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl RedriveJobs {
    /// Try every dead letter of a filter again
    #[oai(path = "/jobs/redrive", method = "post", operation_id = "redriveJobs")]
    async fn redrive(
        &self,
        _caller: Allowed<JobsWrite>,
        origin: RequestOrigin,
        body: Body<RedriveJobsRequest>,
    ) -> Result<Json<Redriven>> {
        let asked = body.0;
        let filter = JobFilter {
            queue: asked.queue,
            kind: search("/kind", asked.kind)?,
            state: None,
            from: asked.from.map(UtcTime::moment),
            until: asked.until.map(UtcTime::moment),
            user: asked.user_id.map(UserId),
            error: search("/error", asked.error)?,
        };
        let jobs::Redriven { count, passed_over } = self.jobs.redrive(&origin.0, &filter).await?;
        Ok(Json(Redriven { count, passed_over }))
    }
}
