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

use crate::http::operation::operations;

operations! {
    options::TellUploadOptions { uploads },
    create::CreateUpload { uploads, abandoned_after },
    tell::TellUpload { uploads, abandoned_after },
    append::AppendToUpload { uploads, abandoned_after },
    terminate::TerminateUpload { uploads },
}
