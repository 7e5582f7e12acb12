//! The headers of every tus 1.0 response, including errors.

use poem::http::{HeaderMap, HeaderName, HeaderValue};

pub const VERSION: &str = "1.0.0";

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");

/// The path of the tus operations.
const UPLOADS_PATH: &str = "/v1/uploads";

/// Returns whether a path belongs to the tus protocol.
pub fn is_tus_path(path: &str) -> bool {
    path.strip_prefix(UPLOADS_PATH)
        .is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Adds the version of the protocol to a response.
pub(super) fn add_version(headers: &mut HeaderMap) {
    headers.insert(RESUMABLE, HeaderValue::from_static(VERSION));
}
