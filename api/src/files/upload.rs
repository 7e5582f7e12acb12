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
    /// The file is stored; derived images follow.
    #[oai(status = 201)]
    Uploaded(Json<File>, #[oai(header = "Location")] String),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl UploadFile {
    /// Upload a file
    ///
    /// The form's part with a file name, or its field `file`, is streamed to the store; other fields are ignored. Of an
    /// image, small ones are derived in the background. Where the form, or the part with the file, has a `Content-Digest`
    /// or a `Repr-Digest` with a `sha-256` (RFC 9530), nothing is stored unless the bytes have it.
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
