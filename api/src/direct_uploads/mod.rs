//! Direct uploads over HTTP: one file per operation. The client sends the bytes to the object
//! store, not to the API.

mod abandon;
mod complete;
mod create;
mod read;
mod representation;
mod sign;

use crate::http::operation::operations;

operations! {
    create::CreateDirectUpload { uploads: direct_uploads, abandoned_after },
    read::ReadDirectUpload { uploads: direct_uploads, abandoned_after },
    sign::SignDirectUploadParts { uploads: direct_uploads },
    complete::CompleteDirectUpload { uploads: direct_uploads, abandoned_after },
    abandon::AbandonDirectUpload { uploads: direct_uploads },
}
