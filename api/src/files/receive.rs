//! Forms with files on their way to the store.

use plinth_core::Error;
use plinth_core::files::{Files, Upload, UploadSlot};
use plinth_domain::audit::Origin;
use plinth_domain::error_code::ErrorCode;
use plinth_domain::file::{File, FileName};
use plinth_domain::id::{FileId, UserId};
use tracing::Instrument as _;

use crate::http::failure::Result;
use crate::http::multipart::{FileForm, FilePart, FilesForm, Form, MAX_FILES};
use crate::http::operation::Refusal;

/// What a form with files can be answered with, beside what any form can.
pub(super) const FORM_REFUSALS: &[Refusal] = &[
    (400, ErrorCode::Interrupted),
    (404, ErrorCode::NotFound),
    (409, ErrorCode::QuotaExceeded),
    (415, ErrorCode::TypeNotAllowed),
    (422, ErrorCode::DigestMismatch),
    (429, ErrorCode::TooManyUploads),
];

/// What becomes of the bytes.
#[derive(Clone, Copy)]
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
    let receiver = Reception {
        files: files.clone(),
        origin,
        owner,
        destination,
        most: 1,
    };
    let mut made = receiver.run(form.0).await?;
    Ok(made
        .pop()
        .ok_or_else(|| Error::internal("a form with a file made none"))?)
}

/// Stores the form's files, all or none.
pub(super) async fn receive_several(
    files: &Files,
    origin: Origin,
    owner: UserId,
    form: FilesForm,
) -> Result<Vec<File>> {
    let destination = Destination::NewFile;
    Reception {
        files: files.clone(),
        origin,
        owner,
        destination,
        most: MAX_FILES,
    }
    .run(form.0)
    .await
}

struct Reception {
    files: Files,
    origin: Origin,
    owner: UserId,
    destination: Destination,
    most: usize,
}

impl Reception {
    async fn run(self, form: Form) -> Result<Vec<File>> {
        // A task of its own: a client that goes away ends the request, not the tidying up behind it.
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

    /// Reads all of the form; every file in it is an upload of its own.
    async fn read(
        &self,
        slot: &UploadSlot,
        form: &mut Form,
        uploads: &mut Vec<Upload>,
    ) -> Result<()> {
        while let Some(part) = form.file().await? {
            if uploads.len() == self.most {
                return Err(form.too_many(self.most));
            }
            let upload = self.begin(slot, form, &part).await?;
            uploads.push(upload);
            let upload = uploads.last_mut().expect("it was just put there");
            write(upload, part).await?;
        }
        if uploads.is_empty() {
            Err(form.missing())
        } else {
            Ok(())
        }
    }

    async fn begin(&self, slot: &UploadSlot, form: &Form, part: &FilePart) -> Result<Upload> {
        Ok(match self.destination {
            Destination::NewFile => {
                let name = part.name().unwrap_or("upload");
                let name = FileName::clean(name).map_err(|rejection| form.refused(rejection))?;
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
