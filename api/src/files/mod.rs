//! Files over HTTP: one file an operation.

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
mod versions;
mod zip;

use plinth_core::files::{Files, ShareLinks};

pub(crate) use content_host::ContentHost;

pub(crate) type Operations = (
    upload::UploadFile,
    upload_several::UploadFiles,
    list::ListFiles,
    storage::ReadStorage,
    read::ReadFile,
    change::ChangeFile,
    content::ReadContent,
    content::ReadContentHeaders,
    content_by_ticket::ReadContentByTicket,
    content_by_ticket::ReadContentHeadersByTicket,
    variant::ReadVariant,
    delete::DeleteFile,
    restore::RestoreFile,
    zip::ZipFiles,
    versions::Operations,
    links::Operations,
);

/// Links begin with `public_url`.
pub(crate) fn operations(
    files: &Files,
    links: &ShareLinks,
    host: &ContentHost,
    public_url: &str,
) -> Operations {
    (
        upload::UploadFile {
            files: files.clone(),
        },
        upload_several::UploadFiles {
            files: files.clone(),
        },
        list::ListFiles {
            files: files.clone(),
        },
        storage::ReadStorage {
            files: files.clone(),
        },
        read::ReadFile {
            files: files.clone(),
        },
        change::ChangeFile {
            files: files.clone(),
        },
        content::ReadContent { host: host.clone() },
        content::ReadContentHeaders {
            files: files.clone(),
        },
        content_by_ticket::ReadContentByTicket { host: host.clone() },
        content_by_ticket::ReadContentHeadersByTicket { host: host.clone() },
        variant::ReadVariant { host: host.clone() },
        delete::DeleteFile {
            files: files.clone(),
        },
        restore::RestoreFile {
            files: files.clone(),
        },
        zip::ZipFiles {
            files: files.clone(),
        },
        versions::operations(files, host),
        links::operations(links, host, public_url),
    )
}
