//! GET /v1/files/{id}/links

use plinth_core::files::ShareLinks;
use plinth_core::page::PageRequest;
use plinth_domain::id::FileId;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::view::ShareLink;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ListShareLinks {
    pub(super) links: ShareLinks,
}

impl Operation for ListShareLinks {}

/// A page of the links to a file, the newest first.
#[derive(Object)]
struct ShareLinkPage {
    items: Vec<ShareLink>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ListShareLinks {
    /// List the links to a file
    ///
    /// Returns the newest first, without their tokens. Links that have expired or are used up are
    /// listed for 30 days. Revoked links are not listed.
    #[oai(
        path = "/files/:id/links",
        method = "get",
        operation_id = "listShareLinks"
    )]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<ShareLinkPage>> {
        let page = PageRequest::parse(limit.0, cursor.0.as_deref())?;
        let links = self.links.list(caller.user.id, FileId(id.0), page).await?;
        let items = links.items.into_iter().map(ShareLink::from).collect();
        Ok(Json(ShareLinkPage {
            items,
            next_cursor: links.next_cursor,
        }))
    }
}
