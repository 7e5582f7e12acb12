//! Versions of a file over HTTP: one file per operation.

mod add;
mod content;
mod delete;
mod list;
mod restore;

use crate::http::operation::operations;

operations! {
    list::ListVersions { files },
    add::AddVersion { files },
    content::ReadVersionContent { host: content_host },
    restore::RestoreVersion { files },
    delete::DeleteVersion { files },
}
