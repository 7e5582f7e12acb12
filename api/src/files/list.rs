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

/// A part of the caller's files.
#[derive(Object)]
struct FilePage {
    items: Vec<File>,
    /// Asks for the next part as `?cursor=`; null at the end.
    next_cursor: Option<String>,
}

/// What a list goes by.
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

/// Which way a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Direction {
    Ascending,
    Descending,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ListFiles {
    /// List the own files
    ///
    /// Only those that all of `tag`, `type`, `name_prefix` and `trashed` fit. Each alone is as quick in a large account as in
    /// a small one; of several, one is, and the others are compared. With `name_prefix` a list is in the order by name, with
    /// any other in the order by creation.
    #[oai(path = "/files", method = "get", operation_id = "listFiles")]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a parameter of the query"
    )]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        /// Only those with this tag.
        tag: Query<Option<String>>,
        /// Only those of this content type (`image/png`), or of all of its kind (`image/*` or `image`).
        r#type: Query<Option<String>>,
        /// Only those whose names begin so.
        name_prefix: Query<Option<String>>,
        /// Only those in the trash.
        trashed: Query<Option<bool>>,
        /// By name where `name_prefix` is given, else by creation.
        sort: Query<Option<FileOrder>>,
        /// Names ascend unless given, everything else descends.
        direction: Query<Option<Direction>>,
        /// Items of a page; 50 unless given.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<FilePage>> {
        let filter = filter(tag.0, r#type.0, name_prefix.0, trashed.0)?;
        let usual = if filter.name_prefix.is_some() {
            Order::Name
        } else {
            Order::Created
        };
        let order = sort.0.map_or(usual, Into::into);
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
    let name_prefix = name_prefix.map(|prefix| faults.keep("/query/name_prefix", no_nul(prefix)));
    let filter = Filter {
        tag: tag.flatten(),
        media_type: media_type.flatten(),
        name_prefix: name_prefix.flatten(),
        trashed: trashed.unwrap_or(false),
    };
    faults.into_result(Some(filter))
}

fn media_type(kind: &str) -> std::result::Result<MediaRange, Rejection> {
    let detail = "A media type is expected, such as image/png, image/* or image.";
    MediaRange::parse_filter(kind).map_err(|_| Rejection::new("invalid_media_type", detail))
}

fn no_nul(text: String) -> std::result::Result<String, Rejection> {
    let is_text = !text.contains('\0');
    if is_text {
        Ok(text)
    } else {
        Err(Rejection::new("invalid_text", "No text has a NUL in it."))
    }
}
