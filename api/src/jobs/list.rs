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

/// A part of the jobs, the newest first.
#[derive(Object)]
struct JobPage {
    items: Vec<BackgroundJob>,
    /// Asks for the next part as `?cursor=`; null at the end.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Jobs")]
impl ListJobs {
    /// List and search the background jobs
    #[oai(path = "/jobs", method = "get", operation_id = "listJobs")]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a parameter of the query"
    )]
    async fn list(
        &self,
        _caller: Allowed<JobsRead>,
        /// Only those of this queue.
        queue: Query<Option<Queue>>,
        /// Only those of this kind, e.g. `email.verification`.
        kind: Query<Option<String>>,
        /// Only those in this state.
        state: Query<Option<JobState>>,
        /// Only those that were asked for at this time or later.
        from: Query<Option<UtcTime>>,
        /// Only those that were asked for before this time.
        until: Query<Option<UtcTime>>,
        /// Only those that this account asked for.
        user_id: Query<Option<Uuid>>,
        /// Only those whose last error has this text in it.
        error: Query<Option<String>>,
        /// Items of a page; 50 unless given.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the page before.
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
