//! A body of raw bytes of an upload, read as a stream.

use bytes::Bytes;
use futures_util::stream::StreamExt as _;
use plinth_domain::error_code::ErrorCode;
use poem::{Request, RequestBody};
use poem_openapi::registry::MetaRequest;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::failure::{Failure, Result};
use super::min_rate::{self, MinRateBody};
use super::operation::Refusal;

/// The media type of a chunk of an upload (tus 1.0).
pub const MEDIA_TYPE: &str = "application/offset+octet-stream";

/// The errors of reading such a body.
pub(crate) const UPLOAD_BODY_REFUSALS: &[Refusal] = &[
    (400, ErrorCode::BrokenBody),
    (400, ErrorCode::Interrupted),
    (408, ErrorCode::Timeout),
    (413, ErrorCode::TooLarge),
    (415, ErrorCode::UnsupportedMediaType),
];

/// The bytes of an upload in a request.
pub struct UploadBody {
    bytes: MinRateBody,
    has_upload_type: bool,
}

impl UploadBody {
    /// Returns whether the client declares the media type of upload bytes.
    pub fn has_upload_type(&self) -> bool {
        self.has_upload_type
    }

    /// Refuses a body that is not declared as upload bytes. An empty body needs no type.
    pub async fn require_media_type(&mut self) -> Result<()> {
        if self.has_upload_type || self.chunk().await?.is_none() {
            return Ok(());
        }
        Err(Failure::UnsupportedMediaType {
            expected: MEDIA_TYPE,
        })
    }

    /// Returns the next bytes, or `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.bytes
            .next()
            .await
            .transpose()
            .map_err(min_rate::map_body_error)
    }
}

impl<'a> ApiExtractor<'a> for UploadBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    /// Returns `None`: client generators do not know the media type and would omit the operation.
    /// The description of the operation documents the body.
    fn request_meta() -> Option<MetaRequest> {
        None
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let has_upload_type = request
            .content_type()
            .is_some_and(|kind| kind == MEDIA_TYPE);
        Ok(Self {
            bytes: MinRateBody::take(request, body)?,
            has_upload_type,
        })
    }
}
