//! POST /v1/files/batch

use plinth_core::files::Files;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::receive;
use super::representation::File;
use crate::files::receive::FORM_REFUSALS;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::multipart::FilesForm;
use crate::http::operation::{Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct UploadFiles {
    pub(super) files: Files,
}

impl Operation for UploadFiles {
    const REFUSALS: Refusals = &[FORM_REFUSALS];
}

/// Files that were stored together.
#[derive(Object)]
struct StoredFiles {
    /// The files in the order of the form.
    items: Vec<File>,
}

#[derive(ApiResponse)]
enum Uploaded {
    /// The files are stored; images are derived in the background.
    #[oai(status = 201)]
    Uploaded(Json<StoredFiles>),
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl UploadFiles {
    /// Upload several files
    ///
    /// Each part with a file name, or in a field `files`, is a file: 1 to 100 of them, each as in
    /// `POST /v1/files`. Either all files are stored, or none.
    #[oai(path = "/files/batch", method = "post", operation_id = "uploadFiles")]
    async fn upload(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        form: FilesForm,
    ) -> Result<Uploaded> {
        let files = receive::receive_several(&self.files, origin.0, caller.user.id, form).await?;
        let items = files.into_iter().map(File::from).collect();
        Ok(Uploaded::Uploaded(Json(StoredFiles { items })))
    }
}
