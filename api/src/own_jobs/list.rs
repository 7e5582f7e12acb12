//! GET /v1/me/jobs

use plinth_core::jobs::OwnJobs;
use plinth_core::page::PageRequest;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::view::OwnJob;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ListOwnJobs {
    pub(super) jobs: OwnJobs,
}

impl Operation for ListOwnJobs {}

/// A page of the caller's jobs, the newest first.
#[derive(Object)]
struct OwnJobPage {
    items: Vec<OwnJob>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ListOwnJobs {
    /// List your jobs
    ///
    /// Returns the background jobs that the account requested, for example to derive images from
    /// its files.
    #[oai(path = "/me/jobs", method = "get", operation_id = "listOwnJobs")]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<OwnJobPage>> {
        let page = self
            .jobs
            .list(
                caller.user.id,
                PageRequest::parse(limit.0, cursor.0.as_deref())?,
            )
            .await?;
        let items = page.items.into_iter().map(OwnJob::from).collect();
        Ok(Json(OwnJobPage {
            items,
            next_cursor: page.next_cursor,
        }))
    }
}
