//! Direct uploads over HTTP: one file an operation. The bytes go to the object store and never come by here.

mod abandon;
mod complete;
mod create;
mod read;
mod representation;
mod sign;

use std::time::Duration;

use plinth_core::files::DirectUploads;

pub(crate) type Operations = (
    create::CreateDirectUpload,
    read::ReadDirectUpload,
    sign::SignDirectUploadParts,
    complete::CompleteDirectUpload,
    abandon::AbandonDirectUpload,
);

/// Uploads that stand still are given up after `abandoned_after`.
pub(crate) fn operations(uploads: &DirectUploads, abandoned_after: Duration) -> Operations {
    (
        create::CreateDirectUpload {
            uploads: uploads.clone(),
            abandoned_after,
        },
        read::ReadDirectUpload {
            uploads: uploads.clone(),
            abandoned_after,
        },
        sign::SignDirectUploadParts {
            uploads: uploads.clone(),
        },
        complete::CompleteDirectUpload {
            uploads: uploads.clone(),
            abandoned_after,
        },
        abandon::AbandonDirectUpload {
            uploads: uploads.clone(),
        },
    )
}
