//! POST /v1/files

use plinth_core::files::Files;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use super::receive::{self, Destination};
use super::representation::File;
use crate::files::receive::FORM_REFUSALS;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::multipart::FileForm;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct UploadFile {
    pub(super) files: Files,
}

impl Operation for UploadFile {
    const REFUSALS: Refusals = &[FORM_REFUSALS];
}

#[derive(ApiResponse)]
enum Uploaded {
    /// The file is stored; images are derived in the background.
    #[oai(status = 201)]
    Uploaded(Json<File>, #[oai(header = "Location")] String),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl UploadFile {
    /// Upload a file
    ///
    /// Stores the part with a file name, or the field `file`; other fields are ignored. Smaller
    /// images of an image are derived in the background. If the request or the part has a
    /// `Content-Digest` or `Repr-Digest` with `sha-256` (RFC 9530), the file is stored only if its
    /// bytes match (422 `digest_mismatch` otherwise).
    #[oai(path = "/files", method = "post", operation_id = "uploadFile")]
    async fn upload(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        form: FileForm,
    ) -> Result<Uploaded> {
        let file = receive::receive(
            &self.files,
            origin.0,
            caller.user.id,
            Destination::NewFile,
            form,
        )
        .await?;
        let location = format!("/v1/files/{}", file.id);
        Ok(Uploaded::Uploaded(Json(file.into()), location))
    }
}
