//! GET and HEAD /v1/files/{id}/content

use plinth_core::files::{Files, Wanted};
use plinth_domain::id::FileId;
use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use uuid::Uuid;

use super::serve::{ContentResponse, serve};
use crate::files::serve::{AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS};
use crate::http::content_host::ContentHost;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ReadContent {
    pub(super) host: ContentHost,
}

impl Operation for ReadContent {
    const REFUSALS: Refusals = &[AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadContent {
    /// Download a file
    ///
    /// Supports Range with one or several ranges, If-Range, If-Match, If-None-Match,
    /// If-Modified-Since and If-Unmodified-Since.
    #[oai(
        path = "/files/:id/content",
        method = "get",
        operation_id = "readFileContent"
    )]
    async fn read(
        &self,
        request: &Request,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
    ) -> Result<ContentResponse> {
        let (owner, id) = (caller.user.id, FileId(id.0));
        let content = self.host.files().content(owner, id).await?;
        self.host
            .serve_owner(content, (owner, id, Wanted::Current), request)
            .await
    }
}

pub(crate) struct ReadContentHeaders {
    pub(super) files: Files,
}

impl Operation for ReadContentHeaders {
    const REFUSALS: Refusals = &[AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadContentHeaders {
    /// Read the headers of a download of a file
    #[oai(
        path = "/files/:id/content",
        method = "head",
        operation_id = "readFileContentHeaders"
    )]
    async fn read(
        &self,
        request: &Request,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
    ) -> Result<ContentResponse> {
        let content = self.files.content(caller.user.id, FileId(id.0)).await?;
        serve(&self.files, content, request).await
    }
}
