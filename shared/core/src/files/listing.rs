//! Lists of files: each order and each filter walks an index of its own, so that a page costs the same in a small and in
//! a large account. Of several filters one walks its index and the others are compared.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plinth_domain::file::{File, Tag};
use plinth_domain::id::UserId;
use plinth_domain::media_type::MediaRange;
use plinth_domain::rejection::Rejection;
use plinth_platform::database::{PgPool, named};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::repository::{self, FileRow};
use crate::page::Page;
use crate::{Error, Result};

/// What a list goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Order {
    #[default]
    Created,
    Name,
    Size,
}

/// Which files are listed: those that everything here fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub tag: Option<Tag>,
    pub media_type: Option<MediaRange>,
    /// What the name begins with, in any case but as it is written.
    pub name_prefix: Option<String>,
    /// Only what is in the trash; otherwise only what is not.
    pub trashed: bool,
}

/// A list that is asked for.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    pub order: Order,
    pub ascending: bool,
    pub filter: Filter,
    pub limit: u16,
    pub cursor: Option<String>,
}

/// Where a page begins: after this file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    order: Order,
    /// What the list goes by, of that file.
    key: Key,
    id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Key {
    None,
    Name(String),
    Size(i64),
}

impl Cursor {
    fn of(order: Order, file: &File) -> Self {
        let key = match order {
            Order::Created => Key::None,
            Order::Name => Key::Name(file.name.clone()),
            Order::Size => Key::Size(file.size),
        };
        Self {
            order,
            key,
            id: file.id.0,
        }
    }

    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("it is plain data"))
    }

    fn read(text: &str, order: Order) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        cursor
            .filter(|cursor| cursor.order == order && cursor.fits())
            .ok_or_else(|| {
                let detail = "The cursor is not one that this list gave.";
                Error::invalid("/query/cursor", Rejection::new("invalid_cursor", detail))
            })
    }

    fn fits(&self) -> bool {
        match (&self.key, self.order) {
            (Key::None, Order::Created) | (Key::Size(_), Order::Size) => true,
            (Key::Name(name), Order::Name) => !name.contains('\0'),
            _ => false,
        }
    }
}

/// A page of the owner's files.
pub(super) async fn list(db: &PgPool, owner: UserId, request: &ListRequest) -> Result<Page<File>> {
    check(request)?;
    let cursor = request
        .cursor
        .as_deref()
        .map(|text| Cursor::read(text, request.order))
        .transpose()?;
    let mut query = statement(owner, request, cursor.as_ref());
    let rows: Vec<FileRow> = named("files.list", query.build_query_as().fetch_all(db)).await?;
    let mut items = repository::with_variants(db, rows).await?;
    let limit = usize::from(request.limit);
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| Cursor::of(request.order, last).write());
    Ok(Page { items, next_cursor })
}

fn check(request: &ListRequest) -> Result<()> {
    let Filter {
        tag,
        media_type,
        name_prefix,
        trashed,
    } = &request.filter;
    let fits = if name_prefix.is_some() {
        request.order == Order::Name
    } else {
        request.order == Order::Created || tag.is_none() && media_type.is_none() && !trashed
    };
    if fits {
        return Ok(());
    }
    let detail = "Files with a name's beginning are sorted by name, those of a tag, of a type or in the trash by creation.";
    Err(Error::invalid(
        "/query/sort",
        Rejection::new("unsupported_sort", detail),
    ))
}

fn statement(
    owner: UserId,
    request: &ListRequest,
    cursor: Option<&Cursor>,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "SELECT files.id, files.owner_id, name, files.content_type, files.size, sha256, version, blob_id,
             scan, scanned_at, signature, metadata, strip_failure, blobs.job_id, files.created_at, files.updated_at, trashed_at,
             ARRAY(SELECT tag FROM file_tags WHERE file_id = files.id ORDER BY tag) AS tags
         FROM files JOIN blobs ON blobs.id = files.blob_id",
    );
    // Of a tag the index with the tag is walked, and its column must be the one that is compared and sorted by.
    let filter = &request.filter;
    let id = if let Some(tag) = &filter.tag {
        query.push(" JOIN file_tags of_tag ON of_tag.file_id = files.id AND of_tag.owner_id = ");
        query
            .push_bind(owner)
            .push(" AND of_tag.tag = ")
            .push_bind(tag.as_str());
        "of_tag.file_id"
    } else {
        "files.id"
    };
    query.push(" WHERE files.owner_id = ").push_bind(owner);
    query
        .push(" AND trashed_at IS ")
        .push(if filter.trashed { "NOT NULL" } else { "NULL" });
    if let Some(range) = &filter.media_type {
        of_type(&mut query, range);
    }
    if let Some(prefix) = &filter.name_prefix {
        query
            .push(" AND name ^@ ")
            .push_bind(prefix)
            .push(" AND name >= ")
            .push_bind(prefix);
        query
            .push(" AND name < ")
            .push_bind(format!("{prefix}\u{10ffff}"));
    }
    let column = match request.order {
        Order::Created => None,
        Order::Name => Some("name"),
        Order::Size => Some("files.size"),
    };
    let (beyond, direction) = if request.ascending {
        (" > ", " ASC")
    } else {
        (" < ", " DESC")
    };
    if let Some(cursor) = cursor {
        query.push(" AND (");
        match &cursor.key {
            Key::None => query.push(id).push(")").push(beyond).push("("),
            Key::Name(name) => query
                .push("name, files.id)")
                .push(beyond)
                .push("(")
                .push_bind(name)
                .push(", "),
            Key::Size(size) => query
                .push("files.size, files.id)")
                .push(beyond)
                .push("(")
                .push_bind(*size)
                .push(", "),
        };
        query.push_bind(cursor.id).push(")");
    }
    query.push(" ORDER BY ");
    if let Some(column) = column {
        query.push(column).push(direction).push(", ");
    }
    query
        .push(id)
        .push(direction)
        .push(" LIMIT ")
        .push_bind(i64::from(request.limit) + 1);
    query
}

/// The index is by the top-level type, also for one type of it.
fn of_type(query: &mut QueryBuilder<Postgres>, range: &MediaRange) {
    let (top, one) = match range {
        MediaRange::All => return,
        MediaRange::Of(top) => (top.as_str(), None),
        MediaRange::One(one) => (
            one.split_once('/').map_or(one.as_str(), |(top, _)| top),
            Some(one),
        ),
    };
    query
        .push(" AND split_part(files.content_type, '/', 1) = ")
        .push_bind(top);
    if let Some(one) = one {
        query.push(" AND files.content_type = ").push_bind(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_by_the_list_that_gave_it() {
        let cursor = Cursor {
            order: Order::Name,
            key: Key::Name("ü.txt".to_owned()),
            id: Uuid::max(),
        };
        assert_eq!(
            Cursor::read(&cursor.write(), Order::Name).expect("reads"),
            cursor
        );
        assert!(Cursor::read(&cursor.write(), Order::Size).is_err());
        let wrong = Cursor {
            key: Key::Size(1),
            ..cursor.clone()
        };
        assert!(Cursor::read(&wrong.write(), Order::Name).is_err());
        let nul = Cursor {
            key: Key::Name("\0".to_owned()),
            ..cursor
        };
        assert!(
            Cursor::read(&nul.write(), Order::Name).is_err(),
            "PostgreSQL knows no NUL"
        );
        for text in ["", "e30", "!", "AAAA"] {
            assert!(Cursor::read(text, Order::Created).is_err(), "{text:?}");
        }
    }
}
