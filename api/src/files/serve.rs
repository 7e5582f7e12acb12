//! Bytes of users over HTTP: ranges, validators, and nothing that a browser would run.

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use plinth_core::Error;
use plinth_core::files::{Content, Files, Unlocked};
use plinth_domain::error_code::ErrorCode;
use plinth_object_store::{ByteRange, ResponseHeaders};
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};

use crate::http::conditions::{self, Precondition};
use crate::http::digest;
use crate::http::failure::{Failure, Result};
use crate::http::operation::Refusal;
use crate::http::range::{Wanted, wanted};

/// What a request for bytes of a file can be answered with before they may be downloaded.
pub(super) const AVAILABILITY_REFUSALS: &[Refusal] = &[
    (403, ErrorCode::FileInfected),
    (403, ErrorCode::FileTooLargeToScan),
    (403, ErrorCode::MetadataNotRemovable),
    (409, ErrorCode::FileNotScanned),
    (409, ErrorCode::MetadataNotRemoved),
];

/// What a request for a part of the bytes, or with a precondition, can be answered with.
pub(super) const DOWNLOAD_REFUSALS: &[Refusal] = &[
    (412, ErrorCode::PreconditionFailed),
    (416, ErrorCode::RangeNotSatisfiable),
];

/// Shown in the page that links to it; everything else is saved. SVG is not on the list: as a document it runs scripts.
const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Asked again each time.
const PRIVATE: &str = "private, no-cache";

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// The answer to a download.
pub(super) struct Served {
    response: Response,
    pub(super) gives: Gives,
}

/// Which bytes an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Nothing,
    /// The first byte, and others that were asked for.
    Beginning,
    /// Only such as come after the first.
    Rest,
}

impl Served {
    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.response.headers_mut()
    }

    /// Sends the client on to where the bytes are given.
    pub(super) fn elsewhere(url: &str) -> Self {
        Self {
            response: moved(url),
            gives: Gives::Nothing,
        }
    }
}

fn moved(url: &str) -> Response {
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, ascii(url));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Answers with what the request asks of the content.
pub(super) async fn serve(files: &Files, content: Content, request: &Request) -> Result<Served> {
    let asked = request.headers();
    let etag = format!("\"{}\"", content.etag);
    match conditions::check(asked, &etag, content.last_modified.into()) {
        Precondition::Met => {}
        Precondition::NotModified => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            describe(response.headers_mut(), &content, &etag);
            return Ok(Served {
                response,
                gives: Gives::Nothing,
            });
        }
        Precondition::Failed => {
            // The object store has tags and times of its own, and compares those.
            let redirect = sent_on(files, &content, request).await?;
            let response = redirect.ok_or(Failure::PreconditionFailed)?;
            return Ok(Served {
                response,
                gives: Gives::Beginning,
            });
        }
    }
    let same = conditions::is_same_range(asked, &etag);
    let answer = match wanted(text(asked, header::RANGE).filter(|_| same), content.size) {
        Wanted::Whole => Answer::Range(None),
        Wanted::Part(range) => Answer::Range(Some(range)),
        Wanted::Parts(ranges) => Answer::Parts(Parts::new(ranges, &content)),
        Wanted::Nothing => return Err(Failure::RangeNotSatisfiable { size: content.size }),
    };
    if let Some(response) = sent_on(files, &content, request).await? {
        return Ok(Served {
            response,
            gives: answer.gives(),
        });
    }
    let mut response = Response::builder().finish();
    let headers = response.headers_mut();
    describe(headers, &content, &etag);
    match &answer {
        Answer::Range(None) => {
            headers.insert(header::CONTENT_LENGTH, content.size.into());
            if let Some(sha256) = content.sha256 {
                headers.insert(REPR_DIGEST, ascii(&digest::write(&sha256)));
            }
        }
        Answer::Range(Some(range)) => {
            headers.insert(header::CONTENT_LENGTH, length(*range).into());
            headers.insert(
                header::CONTENT_RANGE,
                ascii(&content_range(*range, content.size)),
            );
            response.set_status(StatusCode::PARTIAL_CONTENT);
        }
        Answer::Parts(parts) => {
            headers.insert(header::CONTENT_LENGTH, parts.length.into());
            headers.insert(header::CONTENT_TYPE, ascii(&parts.content_type()));
            response.set_status(StatusCode::PARTIAL_CONTENT);
        }
    }
    let mut gives = Gives::Nothing;
    if request.method() != Method::HEAD {
        gives = answer.gives();
        let unlocked = files.unlock(&content).await?;
        response.set_body(match answer {
            Answer::Range(range) => body(files.open(unlocked, range).await?),
            Answer::Parts(parts) => body(parts.open(files.clone(), unlocked)),
        });
    }
    Ok(Served { response, gives })
}

/// Sends the client on to the object store, where the deployment wants that for such bytes. That sets no headers but
/// these: what it shows in a page is harmless, and its origin is nobody's.
async fn sent_on(files: &Files, content: &Content, request: &Request) -> Result<Option<Response>> {
    // The address is signed for a GET alone.
    if request.method() == Method::HEAD {
        return Ok(None);
    }
    let description = ResponseHeaders {
        content_type: media_type(content),
        content_disposition: &disposition(manner(content), &content.name),
        cache_control: PRIVATE,
    };
    Ok(files
        .redirect(content, description)
        .await?
        .map(|url| moved(&url)))
}

/// The content type to serve, with the charset by which text was told from anything else. A stylesheet is served as plain
/// text, which no page can apply (Fetch, section "X-Content-Type-Options"): an uploaded one must not pass for one of the
/// application's own.
fn media_type(content: &Content) -> &str {
    match content.content_type.as_str() {
        "text/plain" | "text/css" => "text/plain; charset=utf-8",
        "text/csv" => "text/csv; charset=utf-8",
        "text/markdown" => "text/markdown; charset=utf-8",
        other => other,
    }
}

/// Whether it is shown in the page that links to it.
fn manner(content: &Content) -> &'static str {
    if SHOWN.contains(&content.content_type.as_str()) {
        "inline"
    } else {
        "attachment"
    }
}

enum Answer {
    /// One range, or the whole.
    Range(Option<ByteRange>),
    Parts(Parts),
}

impl Answer {
    fn gives(&self) -> Gives {
        let begins = match self {
            Self::Range(None) => true,
            Self::Range(Some(range)) => range.first == 0,
            Self::Parts(parts) => parts.ranges.iter().any(|(_, range)| range.first == 0),
        };
        if begins {
            Gives::Beginning
        } else {
            Gives::Rest
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
    /// What stands before the bytes of each range.
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

    /// Each range is opened when the one before it was sent.
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

fn describe(headers: &mut HeaderMap, content: &Content, etag: &str) {
    headers.insert(header::ETAG, ascii(etag));
    headers.insert(
        header::LAST_MODIFIED,
        ascii(&httpdate::fmt_http_date(content.last_modified.into())),
    );
    headers.insert(header::CONTENT_TYPE, ascii(media_type(content)));
    headers.insert(
        header::CONTENT_DISPOSITION,
        ascii(&disposition(manner(content), &content.name)),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(PRIVATE));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; sandbox; frame-ancestors 'none'",
        ),
    );
}

/// RFC 6266 with the name in both forms; RFC 8187 for what is not ASCII.
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

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("made of visible ASCII")
}

impl IntoResponse for Served {
    fn into_response(self) -> Response {
        self.response
    }
}

impl ApiResponse for Served {
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
                response(200, "The bytes, with their own content type.", bytes()),
                response(206, "The range that was asked for.", bytes()),
                response(
                    307,
                    "They are given at `Location`, by the object store or a host of their own, where the deployment says so.",
                    vec![],
                ),
                response(304, "The client has these bytes already.", vec![]),
                response(
                    412,
                    "The bytes are not those that If-Match or If-Unmodified-Since means.",
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
    fn names_are_given_in_both_forms() {
        assert_eq!(
            disposition("attachment", "Grüße \"x\".txt"),
            "attachment; filename=\"Gr__e _x_.txt\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22x%22.txt"
        );
    }

    proptest! {
        #[test]
        fn any_name_makes_a_header(name in ".{0,80}") {
            let value = disposition("inline", &name);
            prop_assert!(HeaderValue::from_str(&value).is_ok());
            prop_assert_eq!(value.matches('"').count(), 2);
        }
    }
}
