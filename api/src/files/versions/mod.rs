//! Versions of a file over HTTP: one file an operation.

mod add;
mod content;
mod delete;
mod list;
mod restore;

use plinth_core::files::Files;

use super::content_host::ContentHost;

pub(crate) type Operations = (
    list::ListVersions,
    add::AddVersion,
    content::ReadVersionContent,
    restore::RestoreVersion,
    delete::DeleteVersion,
);

pub(crate) fn operations(files: &Files, host: &ContentHost) -> Operations {
    (
        list::ListVersions {
            files: files.clone(),
        },
        add::AddVersion {
            files: files.clone(),
        },
        content::ReadVersionContent { host: host.clone() },
        restore::RestoreVersion {
            files: files.clone(),
        },
        delete::DeleteVersion {
            files: files.clone(),
        },
    )
}
