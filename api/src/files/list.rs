//! GET /v1/files

use plinth_core::error::Faults;
use plinth_core::files::{Files, Filter, ListRequest, Order};
use plinth_core::page::PageRequest;
use plinth_domain::file::Tag as FileTag;
use plinth_domain::media_type::MediaRange;
use plinth_domain::rejection::Rejection;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use super::representation::File;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ListFiles {
    pub(super) files: Files,
}

impl Operation for ListFiles {}

/// A page of the caller's files.
#[derive(Object)]
struct FilePage {
    items: Vec<File>,
    /// Pass it as `?cursor=` to get the next page; null on the last page.
    next_cursor: Option<String>,
}

/// The sort key of a list of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum FileOrder {
    Created,
    Name,
    Size,
}

impl From<FileOrder> for Order {
    fn from(order: FileOrder) -> Self {
        match order {
            FileOrder::Created => Self::Created,
            FileOrder::Name => Self::Name,
            FileOrder::Size => Self::Size,
        }
    }
}

/// The sort direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Direction {
    Ascending,
    Descending,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ListFiles {
    /// List your files
    ///
    /// Returns the files that match all of `tag`, `type`, `name_prefix` and `trashed`. One filter
    /// is equally fast in small and large accounts. Of several filters, one uses an index and the
    /// others are compared for each file.
    #[oai(path = "/files", method = "get", operation_id = "listFiles")]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a parameter of the query"
    )]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        /// Only files with this tag.
        tag: Query<Option<String>>,
        /// Only files of this content type (`image/png`) or of this kind (`image/*` or `image`).
        r#type: Query<Option<String>>,
        /// Only files whose names start with this text.
        name_prefix: Query<Option<String>>,
        /// Only files in the trash. False by default.
        trashed: Query<Option<bool>>,
        /// By name if `name_prefix` is given, otherwise by creation time.
        sort: Query<Option<FileOrder>>,
        /// Ascending for names, otherwise descending by default.
        direction: Query<Option<Direction>>,
        /// Items per page; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the previous page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<FilePage>> {
        let filter = filter(tag.0, r#type.0, name_prefix.0, trashed.0)?;
        let default_order = if filter.name_prefix.is_some() {
            Order::Name
        } else {
            Order::Created
        };
        let order = sort.0.map_or(default_order, Into::into);
        let request = ListRequest {
            order,
            ascending: direction.0.map_or(order == Order::Name, |direction| {
                direction == Direction::Ascending
            }),
            filter,
            limit: limit.0.unwrap_or(PageRequest::DEFAULT_LIMIT),
            cursor: cursor.0,
        };
        let page = self.files.list(caller.user.id, &request).await?;
        let items = page.items.into_iter().map(File::from).collect();
        Ok(Json(FilePage {
            items,
            next_cursor: page.next_cursor,
        }))
    }
}

fn filter(
    tag: Option<String>,
    kind: Option<String>,
    name_prefix: Option<String>,
    trashed: Option<bool>,
) -> plinth_core::Result<Filter> {
    let mut faults = Faults::default();
    let tag = tag.map(|tag| faults.keep("/query/tag", FileTag::parse(&tag)));
    let media_type = kind.map(|kind| faults.keep("/query/type", media_type(&kind)));
    let name_prefix =
        name_prefix.map(|prefix| faults.keep("/query/name_prefix", reject_nul(prefix)));
    let filter = Filter {
        tag: tag.flatten(),
        media_type: media_type.flatten(),
        name_prefix: name_prefix.flatten(),
        trashed: trashed.unwrap_or(false),
    };
    faults.into_result(Some(filter))
}

fn media_type(kind: &str) -> std::result::Result<MediaRange, Rejection> {
    let detail = "Expected a media type, such as image/png, image/* or image.";
    MediaRange::parse_filter(kind).map_err(|_| Rejection::new("invalid_media_type", detail))
}

fn reject_nul(text: String) -> std::result::Result<String, Rejection> {
    let is_text = !text.contains('\0');
    if is_text {
        Ok(text)
    } else {
        Err(Rejection::new(
            "invalid_text",
            "NUL characters are not allowed.",
        ))
    }
}
