//! OPTIONS /v1/uploads

use plinth_core::files::Resumables;
use poem::http::{HeaderName, StatusCode};
use poem_openapi::OpenApi;

use super::checksum;
use super::protocol::{EXTENSIONS, empty, insert};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::headers_only::HeadersOnly;
use crate::http::operation::Operation;
use crate::http::tus::VERSION;

pub(crate) struct ReadUploadOptions {
    pub(super) uploads: Resumables,
}

impl Operation for ReadUploadOptions {
    const IS_OPEN: bool = true;
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadUploadOptions {
    /// Read the supported tus version and extensions
    #[oai(
        path = "/uploads",
        method = "options",
        operation_id = "tellUploadOptions"
    )]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn read(&self) -> Result<HeadersOnly<200>> {
        let mut response = empty(StatusCode::OK);
        insert(
            &mut response,
            HeaderName::from_static("tus-version"),
            VERSION,
        );
        insert(
            &mut response,
            HeaderName::from_static("tus-extension"),
            EXTENSIONS,
        );
        insert(
            &mut response,
            HeaderName::from_static("tus-max-size"),
            &self.uploads.largest().to_string(),
        );
        insert(
            &mut response,
            HeaderName::from_static("tus-checksum-algorithm"),
            checksum::ALGORITHMS,
        );
        Ok(HeadersOnly(response))
    }
}
