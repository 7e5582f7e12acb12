//! OPTIONS /v1/uploads

use plinth_core::files::Resumables;
use poem::http::{HeaderName, StatusCode};
use poem_openapi::OpenApi;

use super::checksum;
use super::protocol::{EXTENSIONS, empty, insert};
use crate::http::bare::Bare;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::Operation;
use crate::http::tus::VERSION;

pub(crate) struct TellUploadOptions {
    pub(super) uploads: Resumables,
}

impl Operation for TellUploadOptions {
    const IS_OPEN: bool = true;
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl TellUploadOptions {
    /// Ask what of the tus protocol is spoken
    #[oai(
        path = "/uploads",
        method = "options",
        operation_id = "tellUploadOptions"
    )]
    #[expect(
        clippy::unused_async,
        reason = "every operation is asked asynchronously"
    )]
    async fn tell(&self) -> Result<Bare<200>> {
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
        Ok(Bare(response))
    }
}
