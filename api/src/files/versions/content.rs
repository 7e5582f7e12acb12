//! GET /v1/files/{id}/versions/{number}/content

use plinth_core::files::Wanted;
use plinth_domain::id::FileId;
use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use uuid::Uuid;

use crate::files::serve::ContentResponse;
use crate::files::serve::{AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS};
use crate::http::content_host::ContentHost;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ReadVersionContent {
    pub(super) host: ContentHost,
}

impl Operation for ReadVersionContent {
    const REFUSALS: Refusals = &[AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadVersionContent {
    /// Download a version of a file
    #[oai(
        path = "/files/:id/versions/:number/content",
        method = "get",
        operation_id = "readFileVersionContent"
    )]
    async fn read(
        &self,
        request: &Request,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
        number: Path<i32>,
    ) -> Result<ContentResponse> {
        let (owner, id) = (caller.user.id, FileId(id.0));
        let content = self
            .host
            .files()
            .version_content(owner, id, number.0)
            .await?;
        self.host
            .serve_owner(content, (owner, id, Wanted::Version(number.0)), request)
            .await
    }
}
