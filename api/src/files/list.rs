//! GET /v1/files

use plinth_core::Error;
use plinth_core::files::{Files, Filter, ListRequest, Order};
use plinth_core::page::PageRequest;
use plinth_domain::file::Tag as FileTag;
use plinth_domain::rejection::Rejection;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use super::representation::File;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ListFiles {
    pub(super) files: Files,
}

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
    /// At most one of `tag`, `type`, `name_prefix` and `trashed`, each of which is as quick in a large account as in a small
    /// one: `name_prefix` goes with the order by name, the others with the order by creation.
    #[oai(path = "/files", method = "get", operation_id = "listFiles")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the query")]
    async fn list(
        &self,
        caller: Allowed<FilesRead>,
        /// Only those with this tag.
        tag: Query<Option<String>>,
        /// Only those whose content type begins so, e.g. `image`.
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
        let usual = if matches!(filter, Filter::NamePrefix(_)) { Order::Name } else { Order::Created };
        let order = sort.0.map_or(usual, Into::into);
        let request = ListRequest {
            order,
            ascending: direction
                .0
                .map_or(order == Order::Name, |direction| direction == Direction::Ascending),
            filter,
            limit: limit.0.unwrap_or(PageRequest::DEFAULT_LIMIT),
            cursor: cursor.0,
        };
        let page = self.files.list(caller.user.id, &request).await?;
        let items = page.items.into_iter().map(File::from).collect();
        Ok(Json(FilePage { items, next_cursor: page.next_cursor }))
    }
}

fn filter(
    tag: Option<String>,
    kind: Option<String>,
    name_prefix: Option<String>,
    trashed: Option<bool>,
) -> plinth_core::Result<Filter> {
    let trashed = trashed.unwrap_or(false);
    let given = [tag.is_some(), kind.is_some(), name_prefix.is_some(), trashed];
    if given.into_iter().filter(|given| *given).count() > 1 {
        let detail = "At most one of tag, type, name_prefix and trashed is taken.";
        return Err(Error::invalid("/query", Rejection::new("too_many_filters", detail)));
    }
    let no_nul = |pointer: &str, text: String| {
        let rejection = || Rejection::new("invalid_text", "No text has a NUL in it.");
        if text.contains('\0') { Err(Error::invalid(pointer, rejection())) } else { Ok(text) }
    };
    Ok(match (tag, kind, name_prefix) {
        (Some(tag), ..) => {
            Filter::Tag(FileTag::parse(&tag).map_err(|rejection| Error::invalid("/query/tag", rejection))?)
        }
        (_, Some(kind), _) => Filter::Type(no_nul("/query/type", kind)?),
        (.., Some(prefix)) => Filter::NamePrefix(no_nul("/query/name_prefix", prefix)?),
        _ if trashed => Filter::Trashed,
        _ => Filter::None,
    })
}
