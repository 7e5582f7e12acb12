//! A form with a file on its way to the store.

use plinth_core::Error;
use plinth_core::files::{Files, Upload};
use plinth_domain::audit::Origin;
use plinth_domain::file::{File, FileName};
use plinth_domain::id::{FileId, UserId};
use tracing::Instrument as _;

use crate::http::failure::Result;
use crate::http::multipart::{FileForm, FilePart};

/// What becomes of the bytes.
pub(super) enum Destination {
    NewFile,
    Version(FileId),
}

/// Stores the form's file.
pub(super) async fn receive(
    files: &Files,
    origin: Origin,
    owner: UserId,
    destination: Destination,
    form: FileForm,
) -> Result<File> {
    let store = store(files.clone(), origin, owner, destination, form).in_current_span();
    // A task of its own: a client that goes away ends the request, not the tidying up behind it.
    tokio::spawn(store).await.map_err(Error::internal)?
}

async fn store(
    files: Files,
    origin: Origin,
    owner: UserId,
    destination: Destination,
    mut form: FileForm,
) -> Result<File> {
    let part = form.file().await?;
    let mut upload = match destination {
        Destination::NewFile => {
            let name = FileName::parse(part.name().unwrap_or("upload"))
                .map_err(|rejection| Error::invalid("/file", rejection))?;
            files.upload(&origin, owner, &name).await?
        }
        Destination::Version(id) => files.upload_version(&origin, owner, id).await?,
    };
    match write(&mut upload, part, &mut form).await {
        Ok(()) => Ok(upload.finish(&origin).await?),
        Err(failure) => {
            upload.abandon().await;
            Err(failure)
        }
    }
}

async fn write(upload: &mut Upload, mut part: FilePart, form: &mut FileForm) -> Result<()> {
    if let Some(digest) = part.digest()? {
        upload.expect(digest);
    }
    while let Some(bytes) = part.chunk().await? {
        upload.write(bytes).await?;
    }
    // A form gives its next part only when the one before is gone.
    drop(part);
    form.end().await
}
