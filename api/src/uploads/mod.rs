//! Resumable uploads over HTTP by the tus protocol 1.0: one file per operation.

mod append;
mod checksum;
mod chunk;
mod create;
mod metadata;
mod options;
mod protocol;
mod read_offset;
mod terminate;

use crate::http::operation::operations;

operations! {
    options::ReadUploadOptions { uploads },
    create::CreateUpload { uploads, abandoned_after },
    read_offset::ReadUploadOffset { uploads, abandoned_after },
    append::AppendToUpload { uploads, abandoned_after },
    terminate::TerminateUpload { uploads },
}
