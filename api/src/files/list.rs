//! GET /v1/files

use plinth_core::files::Files;
use plinth_core::page::PageRequest;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::representation::File;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ListFiles {
    pub(super) files: Files,
}

/// A part of the caller's files, the newest first.
#[derive(Object)]
struct FilePage {
    items: Vec<File>,
    /// Asks for the next part as `?cursor=`; null at the end.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ListFiles {
    /// List the own files
    #[oai(path = "/files", method = "get", operation_id = "listFiles")]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        /// Items of a page; 50 unless given.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<FilePage>> {
        let page = self.files.list(caller.user.id, PageRequest::parse(limit.0, cursor.0.as_deref())?).await?;
        let items = page.items.into_iter().map(File::from).collect();
        Ok(Json(FilePage { items, next_cursor: page.next_cursor }))
    }
}
