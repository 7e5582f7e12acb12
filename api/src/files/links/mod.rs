//! Share links over HTTP, for owners of files and for visitors: one file per operation.

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
