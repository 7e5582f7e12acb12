//! Resumable uploads over HTTP, by the tus protocol 1.0: one file an operation.

mod append;
mod checksum;
mod create;
mod metadata;
mod options;
mod protocol;
mod stretch;
mod tell;
mod terminate;

use std::time::Duration;

use plinth_core::files::Resumables;

pub(crate) type Operations = (
    options::TellUploadOptions,
    create::CreateUpload,
    tell::TellUpload,
    append::AppendToUpload,
    terminate::TerminateUpload,
);

/// Uploads that nobody adds to are given up after `abandoned_after`.
pub(crate) fn operations(uploads: &Resumables, abandoned_after: Duration) -> Operations {
    (
        options::TellUploadOptions {
            uploads: uploads.clone(),
        },
        create::CreateUpload {
            uploads: uploads.clone(),
            abandoned_after,
        },
        tell::TellUpload {
            uploads: uploads.clone(),
            abandoned_after,
        },
        append::AppendToUpload {
            uploads: uploads.clone(),
            abandoned_after,
        },
        terminate::TerminateUpload {
            uploads: uploads.clone(),
        },
    )
}
