//! Serves file content: ranges, validators, and headers that keep browsers from running it.

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use plinth_core::Error;
use plinth_core::files::{Content, Files, Unlocked};
use plinth_domain::error_code::ErrorCode;
use plinth_object_store::{ByteRange, ResponseHeaders};
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};

use crate::http::conditions::{self, Precondition};
use crate::http::digest;
use crate::http::failure::{Failure, Result};
use crate::http::operation::Refusal;
use crate::http::range::{RequestedRange, parse_range};

/// The errors of a request for content that may not be downloaded, or not yet.
pub(super) const AVAILABILITY_REFUSALS: &[Refusal] = &[
    (403, ErrorCode::FileInfected),
    (403, ErrorCode::FileTooLargeToScan),
    (403, ErrorCode::MetadataNotRemovable),
    (409, ErrorCode::FileNotScanned),
    (409, ErrorCode::MetadataNotRemoved),
];

/// The errors of ranges and preconditions.
pub(super) const DOWNLOAD_REFUSALS: &[Refusal] = &[
    (412, ErrorCode::PreconditionFailed),
    (416, ErrorCode::RangeNotSatisfiable),
];

/// The types that are displayed inline; all others are downloaded. SVG is not included, because as
/// a document it runs scripts.
const INLINE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Browsers may store the response, but have to revalidate it.
const PRIVATE_CACHE: &str = "private, no-cache";

/// The response to a download.
pub(super) struct ContentResponse {
    response: Response,
    pub(super) sent: SentBytes,
}

/// The bytes in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SentBytes {
    None,
    /// The first byte, and possibly others.
    FromStart,
    /// Only bytes after the first.
    Rest,
}

impl ContentResponse {
    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.response.headers_mut()
    }

    /// Returns a redirect to the host that serves the bytes.
    pub(super) fn redirect(url: &str) -> Self {
        Self {
            response: temporary_redirect(url),
            sent: SentBytes::None,
        }
    }
}

fn temporary_redirect(url: &str) -> Response {
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, ascii(url));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Returns the content that the request asks for, or the error of its ranges or preconditions.
pub(super) async fn serve(
    files: &Files,
    content: Content,
    request: &Request,
) -> Result<ContentResponse> {
    let headers = request.headers();
    let etag = format!("\"{}\"", content.etag);
    match conditions::check(headers, &etag, content.last_modified.into()) {
        Precondition::Met => {}
        Precondition::NotModified => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            add_content_headers(response.headers_mut(), &content, &etag);
            return Ok(ContentResponse {
                response,
                sent: SentBytes::None,
            });
        }
        Precondition::Failed => {
            // The object store has tags and times of its own, and compares those.
            let redirect = redirect_to_object_store(files, &content, request).await?;
            let response = redirect.ok_or(Failure::PreconditionFailed)?;
            return Ok(ContentResponse {
                response,
                sent: SentBytes::FromStart,
            });
        }
    }
    let same = conditions::applies_to_range(headers, &etag);
    let selection = match parse_range(
        header_text(headers, header::RANGE).filter(|_| same),
        content.size,
    ) {
        RequestedRange::Whole => Selection::Range(None),
        RequestedRange::Part(range) => Selection::Range(Some(range)),
        RequestedRange::Parts(ranges) => Selection::Parts(Parts::new(ranges, &content)),
        RequestedRange::Unsatisfiable => {
            return Err(Failure::RangeNotSatisfiable { size: content.size });
        }
    };
    if let Some(response) = redirect_to_object_store(files, &content, request).await? {
        return Ok(ContentResponse {
            response,
            sent: selection.sent(),
        });
    }
    let mut response = Response::builder().finish();
    let headers = response.headers_mut();
    add_content_headers(headers, &content, &etag);
    match &selection {
        Selection::Range(None) => {
            headers.insert(header::CONTENT_LENGTH, content.size.into());
            if let Some(sha256) = content.sha256 {
                headers.insert(digest::REPR_DIGEST, ascii(&digest::format_sha256(&sha256)));
            }
        }
        Selection::Range(Some(range)) => {
            headers.insert(header::CONTENT_LENGTH, length(*range).into());
            headers.insert(
                header::CONTENT_RANGE,
                ascii(&content_range(*range, content.size)),
            );
            response.set_status(StatusCode::PARTIAL_CONTENT);
        }
        Selection::Parts(parts) => {
            headers.insert(header::CONTENT_LENGTH, parts.length.into());
            headers.insert(header::CONTENT_TYPE, ascii(&parts.content_type()));
            response.set_status(StatusCode::PARTIAL_CONTENT);
        }
    }
    let mut sent = SentBytes::None;
    if request.method() != Method::HEAD {
        sent = selection.sent();
        let unlocked = files.unlock(&content).await?;
        response.set_body(match selection {
            Selection::Range(range) => body(files.open(unlocked, range).await?),
            Selection::Parts(parts) => body(parts.open(files.clone(), unlocked)),
        });
    }
    Ok(ContentResponse { response, sent })
}

/// Returns a redirect to the object store, if the deployment redirects this content. The object
/// store sends only these headers: it serves no type that runs scripts inline, and its origin is
/// not used by an application.
async fn redirect_to_object_store(
    files: &Files,
    content: &Content,
    request: &Request,
) -> Result<Option<Response>> {
    // The URL is signed for GET only.
    if request.method() == Method::HEAD {
        return Ok(None);
    }
    let description = ResponseHeaders {
        content_type: media_type(content),
        content_disposition: &disposition(disposition_type(content), &content.name),
        cache_control: PRIVATE_CACHE,
    };
    Ok(files
        .redirect(content, description)
        .await?
        .map(|url| temporary_redirect(&url)))
}

/// Returns the content type to serve, with the charset for text. A stylesheet is served as plain
/// text, so that no page applies an uploaded one (Fetch, section "X-Content-Type-Options").
fn media_type(content: &Content) -> &str {
    match content.content_type.as_str() {
        "text/plain" | "text/css" => "text/plain; charset=utf-8",
        "text/csv" => "text/csv; charset=utf-8",
        "text/markdown" => "text/markdown; charset=utf-8",
        other => other,
    }
}

/// Returns the disposition type: whether the content is displayed inline or downloaded.
fn disposition_type(content: &Content) -> &'static str {
    if INLINE_TYPES.contains(&content.content_type.as_str()) {
        "inline"
    } else {
        "attachment"
    }
}

enum Selection {
    /// One range, or all bytes.
    Range(Option<ByteRange>),
    Parts(Parts),
}

impl Selection {
    fn sent(&self) -> SentBytes {
        let begins = match self {
            Self::Range(None) => true,
            Self::Range(Some(range)) => range.first == 0,
            Self::Parts(parts) => parts.ranges.iter().any(|(_, range)| range.first == 0),
        };
        if begins {
            SentBytes::FromStart
        } else {
            SentBytes::Rest
        }
    }
}

fn body<E: std::error::Error + Send + Sync + 'static>(
    stream: impl Stream<Item = std::result::Result<Bytes, E>> + Send + 'static,
) -> Body {
    Body::from_bytes_stream(stream.map_err(std::io::Error::other))
}

fn length(range: ByteRange) -> u64 {
    range.last - range.first + 1
}

fn content_range(range: ByteRange, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.first, range.last)
}

/// Several ranges as one body of type multipart/byteranges (RFC 9110, section 14.6).
struct Parts {
    boundary: String,
    /// The part header of each range, and the range.
    ranges: Vec<(Bytes, ByteRange)>,
    end: Bytes,
    length: u64,
}

impl Parts {
    fn new(ranges: Vec<ByteRange>, content: &Content) -> Self {
        let boundary = plinth_platform::crypto::unique_name();
        let ranges: Vec<_> = ranges
            .into_iter()
            .map(|range| {
                let range_header = content_range(range, content.size);
                let head = format!(
                    "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Range: {range_header}\r\n\r\n",
                    media_type(content)
                );
                (Bytes::from(head), range)
            })
            .collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let length = ranges
            .iter()
            .map(|(head, range)| head.len() as u64 + length(*range))
            .sum::<u64>();
        Self {
            boundary,
            ranges,
            length: length + end.len() as u64,
            end,
        }
    }

    fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Returns the body. Each range is opened after the previous one was sent.
    fn open(self, files: Files, content: Unlocked) -> impl Stream<Item = Result<Bytes>> {
        let end = stream::iter([Ok(self.end)]);
        stream::iter(self.ranges)
            .then(move |(head, range)| {
                let (files, content) = (files.clone(), content.clone());
                async move {
                    let bytes = files
                        .open(content, Some(range))
                        .await
                        .map_err(Failure::from)?;
                    let bytes = bytes.map_err(|error| Failure::from(Error::internal(error)));
                    Ok::<_, Failure>(stream::iter([Ok(head)]).chain(bytes))
                }
            })
            .try_flatten()
            .chain(end)
    }
}

fn add_content_headers(headers: &mut HeaderMap, content: &Content, etag: &str) {
    headers.insert(header::ETAG, ascii(etag));
    headers.insert(
        header::LAST_MODIFIED,
        ascii(&httpdate::fmt_http_date(content.last_modified.into())),
    );
    headers.insert(header::CONTENT_TYPE, ascii(media_type(content)));
    headers.insert(
        header::CONTENT_DISPOSITION,
        ascii(&disposition(disposition_type(content), &content.name)),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(PRIVATE_CACHE),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; sandbox; frame-ancestors 'none'",
        ),
    );
}

/// Returns a Content-Disposition field with the name in both forms (RFC 6266, and RFC 8187 for
/// names that are not ASCII).
fn disposition(how: &str, name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'!'
            | b'#'
            | b'$'
            | b'&'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("the value is visible ASCII")
}

impl IntoResponse for ContentResponse {
    fn into_response(self) -> Response {
        self.response
    }
}

impl ApiResponse for ContentResponse {
    fn meta() -> MetaResponses {
        let response = |status, description, content| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content,
            headers: vec![],
        };
        let binary =
            MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let bytes = || {
            vec![MetaMediaType {
                content_type: "application/octet-stream",
                schema: binary.clone(),
            }]
        };
        let range = "The range is not within the content.";
        let problem = || Failure::meta().responses.remove(0).content;
        MetaResponses {
            responses: vec![
                response(200, "The content, with its own content type.", bytes()),
                response(206, "The requested ranges.", bytes()),
                response(
                    307,
                    "A redirect to the object store or to the separate host for users' files, if the deployment uses one.",
                    vec![],
                ),
                response(304, "The client already has the content.", vec![]),
                response(
                    412,
                    "The content does not match If-Match or If-Unmodified-Since.",
                    problem(),
                ),
                response(416, range, problem()),
            ],
        }
    }

    fn register(_registry: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_sent_in_both_forms() {
        assert_eq!(
            disposition("attachment", "Grüße \"x\".txt"),
            "attachment; filename=\"Gr__e _x_.txt\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22x%22.txt"
        );
    }

    proptest! {
        #[test]
        fn any_name_yields_a_valid_header(name in ".{0,80}") {
            let value = disposition("inline", &name);
            prop_assert!(HeaderValue::from_str(&value).is_ok());
            prop_assert_eq!(value.matches('"').count(), 2);
        }
    }
}
