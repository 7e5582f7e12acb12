//! Versions of a file over HTTP: one file an operation.

mod add;
mod content;
mod delete;
mod list;
mod restore;

use plinth_core::files::Files;

pub(crate) type Operations = (
    list::ListVersions,
    add::AddVersion,
    content::ReadVersionContent,
    restore::RestoreVersion,
    delete::DeleteVersion,
);

pub(crate) fn operations(files: &Files) -> Operations {
    (
        list::ListVersions { files: files.clone() },
        add::AddVersion { files: files.clone() },
        content::ReadVersionContent { files: files.clone() },
        restore::RestoreVersion { files: files.clone() },
        delete::DeleteVersion { files: files.clone() },
    )
}
