//! What every answer of the tus protocol 1.0 has, a refusal too.

use poem::http::{HeaderMap, HeaderName, HeaderValue};

pub const VERSION: &str = "1.0.0";

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");

/// Where the protocol is spoken.
const UPLOADS: &str = "/v1/uploads";

/// Returns whether a path belongs to the protocol.
pub fn is_spoken_at(path: &str) -> bool {
    path.strip_prefix(UPLOADS)
        .is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Adds the version that the answer is in.
pub(super) fn complete(headers: &mut HeaderMap) {
    headers.insert(RESUMABLE, HeaderValue::from_static(VERSION));
}
