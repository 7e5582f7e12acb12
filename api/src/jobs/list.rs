//! GET /v1/jobs

use plinth_core::jobs::{JobAdministration, JobFilter};
use plinth_core::page::PageRequest;
use plinth_domain::id::UserId;
use plinth_domain::job::Queue;
use plinth_domain::job_state::JobState;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::view::{BackgroundJob, search};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, JobsRead};
use crate::http::utc_time::UtcTime;

pub(crate) struct ListJobs {
    pub(super) jobs: JobAdministration,
}

impl Operation for ListJobs {}

/// A page of jobs, the newest first.
#[derive(Object)]
struct JobPage {
    items: Vec<BackgroundJob>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl ListJobs {
    /// List background jobs
    #[oai(path = "/jobs", method = "get", operation_id = "listJobs")]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a parameter of the query"
    )]
    async fn list(
        &self,
        _caller: Allowed<JobsRead>,
        /// Only jobs of this queue.
        queue: Query<Option<Queue>>,
        /// Only jobs of this kind, for example `email.verification`.
        kind: Query<Option<String>>,
        /// Only jobs in this state.
        state: Query<Option<JobState>>,
        /// Only jobs that were created at this time or later.
        from: Query<Option<UtcTime>>,
        /// Only jobs that were created before this time.
        until: Query<Option<UtcTime>>,
        /// Only jobs that this account requested.
        user_id: Query<Option<Uuid>>,
        /// Only jobs whose last error contains this text.
        error: Query<Option<String>>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<JobPage>> {
        let filter = JobFilter {
            queue: queue.0,
            kind: search("/query/kind", kind.0)?,
            state: state.0,
            from: from.0.map(UtcTime::moment),
            until: until.0.map(UtcTime::moment),
            user: user_id.0.map(UserId),
            error: search("/query/error", error.0)?,
        };
        let page = self
            .jobs
            .list(&filter, PageRequest::parse(limit.0, cursor.0.as_deref())?)
            .await?;
        let items = page.items.into_iter().map(BackgroundJob::from).collect();
        Ok(Json(JobPage {
            items,
            next_cursor: page.next_cursor,
        }))
    }
}
