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

/// A filter of dead letters; an empty filter selects all.
#[derive(Object)]
struct RedriveJobsRequest {
    queue: Option<Queue>,
    /// The kind of the jobs, for example `email.verification`.
    kind: Option<String>,
    /// Only jobs that were created at this time or later.
    from: Option<UtcTime>,
    /// Only jobs that were created before this time.
    until: Option<UtcTime>,
    /// Only jobs that this account requested.
    user_id: Option<Uuid>,
    /// Only jobs whose last error contains this text.
    error: Option<String>,
}

/// The result of a redrive.
#[derive(Object)]
struct Redriven {
    /// The number of dead letters that are due again.
    count: u64,
    /// The number of dead letters that could not be made due; the log has the reasons.
    passed_over: u64,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl RedriveJobs {
    /// Redrive dead letters
    #[oai(path = "/jobs/redrive", method = "post", operation_id = "redriveJobs")]
    async fn redrive(
        &self,
        _caller: Allowed<JobsWrite>,
        origin: RequestOrigin,
        body: Body<RedriveJobsRequest>,
    ) -> Result<Json<Redriven>> {
        let request = body.0;
        let filter = JobFilter {
            queue: request.queue,
            kind: search("/kind", request.kind)?,
            state: None,
            from: request.from.map(UtcTime::moment),
            until: request.until.map(UtcTime::moment),
            user: request.user_id.map(UserId),
            error: search("/error", request.error)?,
        };
        let jobs::Redriven { count, passed_over } = self.jobs.redrive(&origin.0, &filter).await?;
        Ok(Json(Redriven { count, passed_over }))
    }
}
