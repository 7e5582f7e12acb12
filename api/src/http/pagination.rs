//! The query parameters of every list.

use plinth_core::Error;
use plinth_core::page::PageRequest;
use plinth_domain::rejection::Rejection;

use super::failure::Result;

/// Reads `?limit&cursor`.
pub fn page(limit: Option<u16>, cursor: Option<&str>) -> Result<PageRequest> {
    if limit.is_some_and(|limit| limit == 0 || limit > PageRequest::MAX_LIMIT) {
        let detail = format!("A page has 1 to {} items.", PageRequest::MAX_LIMIT);
        return Err(Error::invalid("/query/limit", Rejection::new("out_of_range", detail)).into());
    }
    Ok(PageRequest::parse(limit, cursor)?)
}
