//! Header fields that must have one value (RFC 9110, section 5.3). Of two values, a proxy may read
//! the first and the API the last.

use poem::http::{HeaderMap, HeaderName, header};

use super::failure::{Failure, Result};

/// The fields that affect a decision of the API. Tracing fields are missing here: a malformed one
/// is ignored.
const SINGLE_VALUE_FIELDS: [HeaderName; 17] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::HOST,
    header::IF_MODIFIED_SINCE,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::ORIGIN,
    header::RANGE,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("tus-resumable"),
    HeaderName::from_static("upload-checksum"),
    HeaderName::from_static("upload-defer-length"),
    HeaderName::from_static("upload-length"),
    HeaderName::from_static("upload-metadata"),
    HeaderName::from_static("upload-offset"),
    HeaderName::from_static("x-csrf-token"),
    HeaderName::from_static("x-http-method-override"),
];

/// Refuses a request that gives one of these fields more than once.
pub(super) fn check(headers: &HeaderMap) -> Result<()> {
    // Fast path: no field is repeated.
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    match SINGLE_VALUE_FIELDS
        .iter()
        .find(|name| headers.get_all(*name).iter().nth(1).is_some())
    {
        None => Ok(()),
        Some(name) => Err(Failure::RepeatedField { name: name.clone() }),
    }
}
