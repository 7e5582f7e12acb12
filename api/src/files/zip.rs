//! POST /v1/files/zip

use std::io;
use std::panic::resume_unwind;

use futures_util::StreamExt as _;
use plinth_core::Error;
use plinth_core::files::Files;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::FileId;
use plinth_domain::rejection::Rejection;
use plinth_platform::error_chain;
use poem::http::{HeaderValue, header};
use poem::{Body as Bytes, IntoResponse, Response};
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use super::archive::archive;
use crate::files::serve::AVAILABILITY_REFUSALS;
use crate::http::body::Body;
use crate::http::document::Tag;
use crate::http::failure::{Failure, Result};
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesRead};

const MEDIA_TYPE: &str = "application/zip";

/// The maximum number of files in an archive.
const MAX_FILES_PER_ARCHIVE: usize = 100;

pub(crate) struct ZipFiles {
    pub(super) files: Files,
}

impl Operation for ZipFiles {
    const REFUSALS: Refusals = &[AVAILABILITY_REFUSALS, &[(404, ErrorCode::NotFound)]];
}

/// The files to put into an archive.
#[derive(Object)]
struct ZipRequest {
    /// 1 to 100 file ids, in the order of the archive. Repeated ids are ignored.
    #[oai(validator(max_items = 100))]
    ids: Vec<Uuid>,
}

impl ZipRequest {
    fn parse(self) -> plinth_core::Result<Vec<FileId>> {
        let mut ids: Vec<FileId> = Vec::with_capacity(self.ids.len().min(MAX_FILES_PER_ARCHIVE));
        for id in self.ids.into_iter().map(FileId) {
            if !ids.contains(&id) {
                ids.push(id);
            }
            if ids.len() > MAX_FILES_PER_ARCHIVE {
                let detail = format!("Expected at most {MAX_FILES_PER_ARCHIVE} files.");
                return Err(Error::invalid("/ids", Rejection::new("too_long", detail)));
            }
        }
        if ids.is_empty() {
            return Err(Error::invalid(
                "/ids",
                Rejection::new("too_short", "Expected at least one file."),
            ));
        }
        Ok(ids)
    }
}

/// A streamed archive.
struct Archive(Response);

impl IntoResponse for Archive {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for Archive {
    fn meta() -> MetaResponses {
        let binary =
            MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let response = MetaResponse {
            description: "A ZIP archive.",
            status: Some(200),
            status_range: None,
            // Like every download: client generators know no other binary type.
            content: vec![MetaMediaType {
                content_type: "application/octet-stream",
                schema: binary,
            }],
            headers: vec![],
        };
        MetaResponses {
            responses: vec![response],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// Closes the connection in the middle of the response. An error of the body would not: poem 3.1.12
/// continues to poll a failed connection, and hyper then ends a chunked body as if it were
/// complete.
fn abort_connection(failure: &Failure) -> ! {
    tracing::error!(
        error = error_chain::format_error_chain(failure),
        "aborted archive"
    );
    resume_unwind(Box::new("aborted archive"))
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ZipFiles {
    /// Download several files as a ZIP archive
    ///
    /// The archive is not compressed. Duplicate names get a number. If a file does not exist, the
    /// response is 404 and nothing is sent. If a file turns out to be corrupt later, the connection
    /// is closed in the middle of the response.
    #[oai(path = "/files/zip", method = "post", operation_id = "zipFiles")]
    async fn zip(
        &self,
        caller: Allowed<FilesRead>,
        origin: RequestOrigin,
        body: Body<ZipRequest>,
    ) -> Result<Archive> {
        let contents = self
            .files
            .contents(&origin.0, caller.user.id, &body.0.parse()?)
            .await?;
        let bytes = archive(&self.files, contents).await?;
        let mut response = Response::builder().content_type(MEDIA_TYPE).finish();
        let disposition = HeaderValue::from_static("attachment; filename=\"files.zip\"");
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, disposition);
        let bytes = bytes.map(|bytes| {
            Ok::<_, io::Error>(bytes.unwrap_or_else(|failure| abort_connection(&failure)))
        });
        response.set_body(Bytes::from_bytes_stream(bytes));
        Ok(Archive(response))
    }
}
