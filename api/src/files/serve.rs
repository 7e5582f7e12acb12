//! Bytes of users over HTTP: ranges, validators, and nothing that a browser would run.

use plinth_core::files::{Content, Files};
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};

use crate::http::failure::{Failure, Result};
use crate::http::range::{Wanted, wanted};

/// Shown in the page that links to it; everything else is saved.
const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The answer to a download.
pub(super) struct Served(Response);

/// Answers with what the headers ask of the content.
pub(super) async fn serve(files: &Files, content: &Content, asked: &HeaderMap) -> Result<Served> {
    let etag = format!("\"{}\"", content.etag);
    if text(asked, header::IF_NONE_MATCH).is_some_and(|tags| matches(tags, &etag)) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), content, &etag);
        return Ok(Served(response));
    }
    // RFC 9110, section 13.1.5: a range of another version is no range of this one.
    let same = text(asked, header::IF_RANGE).is_none_or(|tag| tag == etag);
    let range = match wanted(text(asked, header::RANGE).filter(|_| same), content.size) {
        Wanted::Whole => None,
        Wanted::Part(range) => Some(range),
        Wanted::Nothing => return Err(Failure::RangeNotSatisfiable { size: content.size }),
    };
    let stream = files.open(content, range).await?;
    let mut response = Response::builder().body(Body::from_bytes_stream(stream_errors(stream)));
    let headers = response.headers_mut();
    describe(headers, content, &etag);
    let length = range.map_or(content.size, |range| range.last - range.first + 1);
    headers.insert(header::CONTENT_LENGTH, length.into());
    if let Some(range) = range {
        let part = format!("bytes {}-{}/{}", range.first, range.last, content.size);
        headers.insert(header::CONTENT_RANGE, ascii(&part));
        response.set_status(StatusCode::PARTIAL_CONTENT);
    }
    Ok(Served(response))
}

fn stream_errors(
    stream: plinth_core::files::Download,
) -> impl futures_util::Stream<Item = std::result::Result<bytes::Bytes, std::io::Error>> {
    futures_util::TryStreamExt::map_err(stream, std::io::Error::other)
}

fn describe(headers: &mut HeaderMap, content: &Content, etag: &str) {
    let how = if SHOWN.contains(&content.content_type.as_str()) { "inline" } else { "attachment" };
    headers.insert(header::ETAG, ascii(etag));
    headers.insert(header::CONTENT_TYPE, ascii(&content.content_type));
    headers.insert(header::CONTENT_DISPOSITION, ascii(&disposition(how, &content.name)));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'"),
    );
}

/// RFC 6266 with the name in both forms; RFC 8187 for what is not ASCII.
fn disposition(how: &str, name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
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

fn matches(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("made of visible ASCII")
}

impl IntoResponse for Served {
    fn into_response(self) -> Response {
        self.0
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
        let binary = MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let bytes =
            || vec![MetaMediaType { content_type: "application/octet-stream", schema: binary.clone() }];
        let range = "The range is not within the content.";
        let problem = Failure::meta().responses.remove(0).content;
        MetaResponses {
            responses: vec![
                response(200, "The bytes, with their own content type.", bytes()),
                response(206, "The range that was asked for.", bytes()),
                response(304, "The client has these bytes already.", vec![]),
                response(416, range, problem),
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

    #[test]
    fn tags_match_weakly_and_in_lists() {
        for tags in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(matches(tags, "\"a\""), "{tags}");
        }
        assert!(!matches("\"ab\"", "\"a\""));
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
