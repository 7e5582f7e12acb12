//! The tus protocol: its version, its headers, and the state of an upload in them.

use std::time::Duration;

use plinth_core::files::Resumable;
use plinth_core::{Error, Result as CoreResult};
use plinth_domain::rejection::Rejection;
use poem::http::{HeaderName, HeaderValue};
use poem::{IntoResponse as _, Request, Response};

use crate::http::failure::{Failure, Result};
use crate::http::tus::VERSION;

/// The supported extensions. Concatenation is not: each upload is encrypted with a key of its own.
pub(super) const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination";

pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CONCAT: HeaderName = HeaderName::from_static("upload-concat");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// The file that an upload has become. Not part of tus.
const FILE_ID: HeaderName = HeaderName::from_static("plinth-file-id");

/// Refuses a request with another version, or without one, which tus 1.0 requires in every request.
pub(super) fn check_version(version: Option<&str>) -> Result<()> {
    if version == Some(VERSION) {
        Ok(())
    } else {
        Err(Failure::UnsupportedTusVersion)
    }
}

/// Refuses the concatenation extension. Otherwise its partial uploads would become files of their
/// own.
pub(super) fn refuse_concatenation(request: &Request) -> Result<()> {
    if request.headers().contains_key(CONCAT) {
        let detail = "Upload-Concat is not supported, because each upload is encrypted with its own key. Send the file as one upload, without parallel ones.";
        let rejection = Rejection::new("not_offered", detail);
        return Err(Error::invalid("/header/upload-concat", rejection).into());
    }
    Ok(())
}

/// Parses a number of bytes in a header.
pub(super) fn parse_bytes(pointer: &str, text: &str) -> CoreResult<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| {
        Error::invalid(
            pointer,
            Rejection::new("invalid_number", "Expected a whole number of bytes."),
        )
    })
}

/// Adds the state of an upload to a response.
pub(super) fn with_upload_headers(
    mut response: Response,
    upload: &Resumable,
    abandoned_after: Duration,
) -> Response {
    let headers = response.headers_mut();
    headers.insert(OFFSET, upload.position.into());
    match upload.length {
        Some(length) => headers.insert(LENGTH, length.into()),
        None => headers.insert(DEFER_LENGTH, HeaderValue::from_static("1")),
    };
    if let Some(file) = upload.made {
        insert(&mut response, FILE_ID, &file.to_string());
    } else {
        let expires = httpdate::fmt_http_date(upload.expires_at(abandoned_after).into());
        insert(&mut response, EXPIRES, &expires);
    }
    response
}

pub(super) fn insert(response: &mut Response, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("the value is visible ASCII");
    response.headers_mut().insert(name, value);
}

pub(super) fn empty(status: poem::http::StatusCode) -> Response {
    status.into_response()
}
