//! POST /v1/files

use plinth_core::Error;
use plinth_core::files::{Files, Upload};
use plinth_domain::audit::Origin;
use plinth_domain::file::FileName;
use plinth_domain::id::UserId;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};
use tracing::Instrument as _;

use super::representation::File;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::multipart::{FileForm, FilePart};
use crate::http::origin::RequestOrigin;
use crate::http::principal::{Allowed, FilesWrite};

pub(crate) struct UploadFile {
    pub(super) files: Files,
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
    /// The form's field `file` is streamed to the store. Of an image, small ones are derived in the background.
    #[oai(path = "/files", method = "post", operation_id = "uploadFile")]
    async fn upload(
        &self,
        caller: Allowed<FilesWrite>,
        origin: RequestOrigin,
        form: FileForm,
    ) -> Result<Uploaded> {
        let store = store(self.files.clone(), origin.0, caller.user.id, form).in_current_span();
        // A task of its own: a client that goes away ends the request, not the tidying up behind it.
        let file = tokio::spawn(store).await.map_err(Error::internal)??;
        let location = format!("/v1/files/{}", file.id);
        Ok(Uploaded::Uploaded(Json(file.into()), location))
    }
}

async fn store(
    files: Files,
    origin: Origin,
    owner: UserId,
    mut form: FileForm,
) -> Result<plinth_domain::file::File> {
    let part = form.file().await?;
    let name = FileName::parse(part.name().unwrap_or("upload"))
        .map_err(|rejection| Error::invalid("/file", rejection))?;
    let mut upload = files.upload(&origin, owner, &name).await?;
    match receive(&mut upload, part, &mut form).await {
        Ok(()) => Ok(upload.finish(&origin).await?),
        Err(failure) => {
            upload.abandon().await;
            Err(failure)
        }
    }
}

async fn receive(upload: &mut Upload, mut part: FilePart, form: &mut FileForm) -> Result<()> {
    while let Some(bytes) = part.chunk().await? {
        upload.write(bytes).await?;
    }
    // A form gives its next part only when the one before is gone.
    drop(part);
    form.end().await
}
