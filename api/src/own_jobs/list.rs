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

/// A part of the caller's jobs, the newest first.
#[derive(Object)]
struct OwnJobPage {
    items: Vec<OwnJob>,
    /// Asks for the next part as `?cursor=`; null at the end.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Account")]
impl ListOwnJobs {
    /// List the own jobs
    ///
    /// What the account has asked for and is done in the background, e.g. the images derived from its files.
    #[oai(path = "/me/jobs", method = "get", operation_id = "listOwnJobs")]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        /// Items of a page; 50 unless given.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the page before.
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
