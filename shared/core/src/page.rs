//! Keyset pagination: a page of the newest first, and where the next one begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plinth_domain::rejection::Rejection;
use uuid::Uuid;

use crate::{Error, Result};

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    pub limit: u16,
    /// Items after (older than) this one.
    pub after: Option<Uuid>,
}

impl PageRequest {
    pub const DEFAULT_LIMIT: u16 = 50;

    /// Reads what a client sent; the document bounds the limit, and the door has compared it.
    pub fn parse(limit: Option<u16>, cursor: Option<&str>) -> Result<Self> {
        let after = cursor.map(parse_cursor).transpose()?;
        Ok(Self {
            limit: limit.unwrap_or(Self::DEFAULT_LIMIT),
            after,
        })
    }

    /// One more than the page holds, to learn whether another follows.
    pub(crate) fn fetch(self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The bound for `id < $n`: every UUID is below the default.
    pub(crate) fn before(self) -> Uuid {
        self.after.unwrap_or(Uuid::max())
    }
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Asks for the next part; `None` at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Cuts what was fetched for `request` to a page; `id` names an item.
    pub(crate) fn cut(mut items: Vec<T>, request: PageRequest, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = usize::from(request.limit);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items
            .last()
            .filter(|_| more)
            .map(|last| URL_SAFE_NO_PAD.encode(id(last).as_bytes()));
        Self { items, next_cursor }
    }
}

fn parse_cursor(text: &str) -> Result<Uuid> {
    let bytes = (text.len() == 22)
        .then(|| URL_SAFE_NO_PAD.decode(text).ok())
        .flatten();
    bytes
        .and_then(|bytes| Uuid::from_slice(&bytes).ok())
        .ok_or_else(|| {
            let detail = "The cursor is not one that a list of this API gave.";
            Error::invalid("/query/cursor", Rejection::new("invalid_cursor", detail))
        })
}
