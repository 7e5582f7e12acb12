//! GET /v1/files/{id}/variants/{preset}

use plinth_core::Error;
use plinth_core::files::Wanted;
use plinth_domain::id::FileId;
use plinth_domain::preset::PresetName;
use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use uuid::Uuid;

use super::serve::ContentResponse;
use crate::files::serve::{AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS};
use crate::http::content_host::ContentHost;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Operation, Refusals};
use crate::http::principal::{Allowed, FilesRead};

pub(crate) struct ReadVariant {
    pub(super) host: ContentHost,
}

impl Operation for ReadVariant {
    const REFUSALS: Refusals = &[AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS];
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadVariant {
    /// Download a derived image
    ///
    /// 404 until the image is derived; the `variants` of the file have its state.
    #[oai(
        path = "/files/:id/variants/:preset",
        method = "get",
        operation_id = "readFileVariant"
    )]
    async fn read(
        &self,
        request: &Request,
        caller: Allowed<FilesRead>,
        id: Path<Uuid>,
        /// The name of a preset of the deployment; `small` and `large` by default.
        preset: Path<String>,
    ) -> Result<ContentResponse> {
        let preset: PresetName = preset.0.parse().map_err(|_| Error::NotFound)?;
        let (owner, id) = (caller.user.id, FileId(id.0));
        let content = self.host.files().variant(owner, id, &preset).await?;
        self.host
            .serve_owner(content, (owner, id, Wanted::Variant(preset)), request)
            .await
    }
}
