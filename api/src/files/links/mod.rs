//! Share links over HTTP, for the owners of files and for whoever has a link: one file an operation.

mod content;
mod create;
mod list;
mod list_all;
mod read;
pub(crate) mod resume;
mod revoke;
mod revoke_all;
mod ticket;
mod view;

use crate::http::operation::operations;

operations! {
    create::CreateShareLink { links, public_url },
    list::ListShareLinks { links },
    revoke::RevokeShareLink { links },
    list_all::ListOwnLinks { links },
    revoke_all::RevokeOwnLinks { links },
    read::ReadSharedFile { links },
    ticket::CreateTicket { links },
    content::ReadSharedContent { links, host: content_host },
    content::ReadSharedContentHeaders { links, host: content_host },
}
