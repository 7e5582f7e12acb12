//! A body that is nothing but bytes, read as it comes.

use bytes::Bytes;
use futures_util::stream::StreamExt as _;
use plinth_domain::error_code::ErrorCode;
use poem::{Request, RequestBody};
use poem_openapi::registry::MetaRequest;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::failure::{Failure, Result};
use super::operation::Refusal;
use super::pace::{self, Paced};

/// The media type of a stretch of an upload (tus 1.0).
pub const MEDIA_TYPE: &str = "application/offset+octet-stream";

/// What a request with such a body can be answered with.
pub(crate) const BYTES_REFUSALS: &[Refusal] = &[
    (400, ErrorCode::BrokenBody),
    (400, ErrorCode::Interrupted),
    (408, ErrorCode::Timeout),
    (413, ErrorCode::TooLarge),
    (415, ErrorCode::UnsupportedMediaType),
];

/// The bytes of a request.
pub struct Octets {
    bytes: Paced,
    is_typed: bool,
}

impl Octets {
    /// Whether the client says that these are bytes of an upload.
    pub fn is_typed(&self) -> bool {
        self.is_typed
    }

    /// Refuses bytes that the client does not declare as bytes of an upload. A body without bytes needs no type.
    pub async fn require_type(&mut self) -> Result<()> {
        if self.is_typed || self.chunk().await?.is_none() {
            return Ok(());
        }
        Err(Failure::UnsupportedMediaType {
            expected: MEDIA_TYPE,
        })
    }

    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.bytes.next().await.transpose().map_err(pace::failure)
    }
}

impl<'a> ApiExtractor<'a> for Octets {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    /// Described in words: generators of clients do not know the media type, and would leave the operation out.
    fn request_meta() -> Option<MetaRequest> {
        None
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let is_typed = request
            .content_type()
            .is_some_and(|kind| kind == MEDIA_TYPE);
        Ok(Self {
            bytes: Paced::take(request, body)?,
            is_typed,
        })
    }
}
