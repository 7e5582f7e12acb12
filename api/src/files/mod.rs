//! Files over HTTP: one file per operation.

mod archive;
mod change;
mod content;
mod content_by_ticket;
mod content_host;
mod delete;
pub(crate) mod links;
mod list;
mod read;
mod receive;
mod representation;
mod restore;
mod serve;
mod storage;
mod upload;
mod upload_several;
mod variant;
pub(crate) mod versions;
mod zip;

use crate::http::operation::operations;

operations! {
    upload::UploadFile { files },
    upload_several::UploadFiles { files },
    list::ListFiles { files },
    storage::ReadStorage { files },
    read::ReadFile { files },
    change::ChangeFile { files },
    content::ReadContent { host: content_host },
    content::ReadContentHeaders { files },
    content_by_ticket::ReadContentByTicket { host: content_host },
    content_by_ticket::ReadContentHeadersByTicket { host: content_host },
    variant::ReadVariant { host: content_host },
    delete::DeleteFile { files },
    restore::RestoreFile { files },
    zip::ZipFiles { files },
}
