//! Files over HTTP: one file an operation.

mod content;
mod delete;
mod list;
mod read;
mod representation;
mod serve;
mod upload;
mod variant;

use plinth_core::files::Files;

pub(crate) type Operations = (
    upload::UploadFile,
    list::ListFiles,
    read::ReadFile,
    content::ReadContent,
    variant::ReadVariant,
    delete::DeleteFile,
);

pub(crate) fn operations(files: &Files) -> Operations {
    (
        upload::UploadFile { files: files.clone() },
        list::ListFiles { files: files.clone() },
        read::ReadFile { files: files.clone() },
        content::ReadContent { files: files.clone() },
        variant::ReadVariant { files: files.clone() },
        delete::DeleteFile { files: files.clone() },
    )
}
