//! The tus protocol: its version, its headers, and what of an upload they tell.

use std::time::Duration;

use plinth_core::files::Resumable;
use plinth_core::{Error, Result as CoreResult};
use plinth_domain::rejection::Rejection;
use poem::http::{HeaderName, HeaderValue};
use poem::{IntoResponse as _, Request, Response};

use crate::http::failure::{Failure, Result};
use crate::http::tus::VERSION;

/// What is offered beyond the core. Concatenation is not: parts are sealed, each with the key of its upload.
pub(super) const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination";

pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CONCAT: HeaderName = HeaderName::from_static("upload-concat");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// Ours: the file that an upload has become.
const FILE_ID: HeaderName = HeaderName::from_static("plinth-file-id");

/// Refuses a client that speaks another version, or names none: every request must name it (tus 1.0, Tus-Resumable).
pub(super) fn check_version(version: Option<&str>) -> Result<()> {
    if version == Some(VERSION) {
        Ok(())
    } else {
        Err(Failure::UnsupportedTusVersion)
    }
}

/// Refuses a part of an upload, or a whole made of such parts: taken for uploads of their own, the parts would become
/// files.
pub(super) fn refuse_concatenation(request: &Request) -> Result<()> {
    if request.headers().contains_key(CONCAT) {
        let detail = "Uploads cannot be joined: each is sealed with a key of its own, so that all of their bytes would be \
                      read and written again. Send the file as one upload, without parallel ones.";
        let rejection = Rejection::new("not_offered", detail);
        return Err(Error::invalid("/header/upload-concat", rejection).into());
    }
    Ok(())
}

/// A number of bytes in a header.
pub(super) fn number(pointer: &str, text: &str) -> CoreResult<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| {
        Error::invalid(
            pointer,
            Rejection::new("invalid_number", "A whole number of bytes is expected."),
        )
    })
}

/// An answer without a body that tells how far an upload is.
pub(super) fn told(
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
    let value = HeaderValue::from_str(value).expect("made of visible ASCII");
    response.headers_mut().insert(name, value);
}

pub(super) fn empty(status: poem::http::StatusCode) -> Response {
    status.into_response()
}
