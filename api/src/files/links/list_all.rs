//! GET /v1/me/links

use plinth_core::files::ShareLinks;
use plinth_core::page::PageRequest;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use super::view::ShareLink;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ListOwnLinks {
    pub(super) links: ShareLinks,
}

impl Operation for ListOwnLinks {}

/// A share link with the file that it shares.
#[derive(Object)]
struct OwnShareLink {
    link: ShareLink,
    file_id: Uuid,
    file_name: String,
    /// Whether the file is in the trash. If so, the link does not work until the file is restored.
    file_trashed: bool,
}

impl From<plinth_core::files::OwnLink> for OwnShareLink {
    fn from(own: plinth_core::files::OwnLink) -> Self {
        Self {
            link: own.link.into(),
            file_id: own.file.0,
            file_name: own.file_name,
            file_trashed: own.file_is_trashed,
        }
    }
}

/// A page of the links of an account, the newest first.
#[derive(Object)]
struct OwnShareLinkPage {
    items: Vec<OwnShareLink>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ListOwnLinks {
    /// List the links to all your files
    ///
    /// Returns the newest first, without their tokens. Links that have expired or are used up are
    /// listed for 30 days. Revoked links, and links whose API key was revoked, are not listed.
    #[oai(path = "/me/links", method = "get", operation_id = "listOwnLinks")]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<OwnShareLinkPage>> {
        let page = PageRequest::parse(limit.0, cursor.0.as_deref())?;
        let links = self.links.list_all(caller.user.id, page).await?;
        let items = links.items.into_iter().map(OwnShareLink::from).collect();
        Ok(Json(OwnShareLinkPage {
            items,
            next_cursor: links.next_cursor,
        }))
    }
}
