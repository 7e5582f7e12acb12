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

use plinth_core::files::ShareLinks;

use super::content_host::ContentHost;

pub(crate) type Operations = (
    create::CreateShareLink,
    list::ListShareLinks,
    revoke::RevokeShareLink,
    list_all::ListOwnLinks,
    revoke_all::RevokeOwnLinks,
    read::ReadSharedFile,
    ticket::CreateTicket,
    content::ReadSharedContent,
    content::ReadSharedContentHeaders,
);

pub(crate) fn operations(links: &ShareLinks, host: &ContentHost, public_url: &str) -> Operations {
    let contents = content::SharedContents {
        links: links.clone(),
        host: host.clone(),
    };
    (
        create::CreateShareLink {
            links: links.clone(),
            public_url: public_url.to_owned(),
        },
        list::ListShareLinks {
            links: links.clone(),
        },
        revoke::RevokeShareLink {
            links: links.clone(),
        },
        list_all::ListOwnLinks {
            links: links.clone(),
        },
        revoke_all::RevokeOwnLinks {
            links: links.clone(),
        },
        read::ReadSharedFile {
            links: links.clone(),
        },
        ticket::CreateTicket {
            links: links.clone(),
        },
        content::ReadSharedContent {
            contents: contents.clone(),
        },
        content::ReadSharedContentHeaders { contents },
    )
}
