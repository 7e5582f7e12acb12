//! Receives the files of a form.

use plinth_core::Error;
use plinth_core::files::{Files, Upload, UploadSlot};
use plinth_domain::audit::Origin;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::{File, FileName};
use plinth_domain::id::{FileId, UserId};
use tracing::Instrument as _;

use crate::http::failure::Result;
use crate::http::multipart::{FileForm, FilePart, FilesForm, Form, MAX_FILES_PER_FORM};
use crate::http::operation::Refusal;

/// The errors of a form with files, in addition to those of any form.
pub(super) const FORM_REFUSALS: &[Refusal] = &[
    (400, ErrorCode::Interrupted),
    (404, ErrorCode::NotFound),
    (409, ErrorCode::QuotaExceeded),
    (415, ErrorCode::TypeNotAllowed),
    (422, ErrorCode::DigestMismatch),
    (429, ErrorCode::TooManyUploads),
];

/// The destination of the bytes.
#[derive(Clone, Copy)]
pub(super) enum Destination {
    NewFile,
    Version(FileId),
}

/// Stores the file of a form.
pub(super) async fn receive(
    files: &Files,
    origin: Origin,
    owner: UserId,
    destination: Destination,
    form: FileForm,
) -> Result<File> {
    let upload = FormUpload {
        files: files.clone(),
        origin,
        owner,
        destination,
        max_files: 1,
    };
    let mut files = upload.run(form.0).await?;
    Ok(files
        .pop()
        .ok_or_else(|| Error::internal("an upload of a form returned no file"))?)
}

/// Stores all files of a form, or none.
pub(super) async fn receive_several(
    files: &Files,
    origin: Origin,
    owner: UserId,
    form: FilesForm,
) -> Result<Vec<File>> {
    let destination = Destination::NewFile;
    FormUpload {
        files: files.clone(),
        origin,
        owner,
        destination,
        max_files: MAX_FILES_PER_FORM,
    }
    .run(form.0)
    .await
}

struct FormUpload {
    files: Files,
    origin: Origin,
    owner: UserId,
    destination: Destination,
    max_files: usize,
}

impl FormUpload {
    async fn run(self, form: Form) -> Result<Vec<File>> {
        // A separate task: a client that disconnects cancels the request, but not the cleanup.
        tokio::spawn(self.store(form).in_current_span())
            .await
            .map_err(Error::internal)?
    }

    async fn store(self, mut form: Form) -> Result<Vec<File>> {
        let slot = self.files.upload_slot(self.owner)?;
        let mut uploads = Vec::new();
        match self.read(&slot, &mut form, &mut uploads).await {
            Ok(()) => Ok(Upload::finish_all(uploads, &self.origin).await?),
            Err(failure) => {
                for upload in uploads {
                    upload.abandon().await;
                }
                Err(failure)
            }
        }
    }

    /// Reads the whole form and starts an upload for each file.
    async fn read(
        &self,
        slot: &UploadSlot,
        form: &mut Form,
        uploads: &mut Vec<Upload>,
    ) -> Result<()> {
        while let Some(part) = form.next_file().await? {
            if uploads.len() == self.max_files {
                return Err(form.too_many_files(self.max_files));
            }
            let mut upload = self.begin(slot, form, &part).await?;
            let written = write(&mut upload, part).await;
            uploads.push(upload);
            written?;
        }
        if uploads.is_empty() {
            Err(form.missing_file())
        } else {
            Ok(())
        }
    }

    async fn begin(&self, slot: &UploadSlot, form: &Form, part: &FilePart) -> Result<Upload> {
        Ok(match self.destination {
            Destination::NewFile => {
                let name = part.name().unwrap_or("upload");
                let name =
                    FileName::clean(name).map_err(|rejection| form.invalid_file(rejection))?;
                self.files.upload(&self.origin, slot, &name).await?
            }
            Destination::Version(id) => self.files.upload_version(&self.origin, slot, id).await?,
        })
    }
}

async fn write(upload: &mut Upload, mut part: FilePart) -> Result<()> {
    if let Some(digest) = part.digest() {
        upload.expect(digest);
    }
    loop {
        let preempted = upload.preempted();
        let bytes = tokio::select! {
            bytes = part.chunk() => bytes?,
            error = preempted => return Err(error.into()),
        };
        match bytes {
            Some(bytes) => upload.write(bytes).await?,
            None => break,
        }
    }
    Ok(upload.store().await?)
}
