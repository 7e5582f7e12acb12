//! GET and HEAD /v1/links/{token}/content

use plinth_core::files::{DownloadTickets, ShareLinks};
use plinth_domain::audit::Origin;
use plinth_domain::error_code::ErrorCode;
use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};

use super::super::serve::{Gives, Served, serve};
use super::resume;
use crate::files::serve::{AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS};
use crate::http::content_host::ContentHost;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Hosts, Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::secret::Secret;

/// Gives visitors what links share.
struct SharedContents<'a> {
    links: &'a ShareLinks,
    host: &'a ContentHost,
}

impl SharedContents<'_> {
    /// What gives bytes counts as a download, which HEAD never does.
    async fn give(
        &self,
        origin: &Origin,
        token: &str,
        (password, resume): (Option<&str>, Option<&str>),
        request: &Request,
    ) -> Result<Served> {
        if let Some(served) = self.host.of_link(request) {
            return Ok(served);
        }
        let resume = resume.or_else(|| resume::from_cookie(request.headers()));
        let shared = self
            .links
            .content(token, DownloadTickets { password, resume })
            .await?;
        // Its first bytes are there before it counts: no fault of the store uses a link up.
        let mut served = serve(self.links.files(), shared.content.clone(), request).await?;
        let counted = match served.gives {
            Gives::Nothing => None,
            Gives::Beginning => self.links.count(origin, &shared, true).await?,
            Gives::Rest => self.links.count(origin, &shared, false).await?,
        };
        if let Some(ticket) = counted {
            resume::give(served.headers_mut(), &ticket, request.uri().path());
        }
        Ok(served)
    }
}

pub(crate) struct ReadSharedContent {
    pub(super) links: ShareLinks,
    pub(super) host: ContentHost,
}

impl Operation for ReadSharedContent {
    const REFUSALS: Refusals = &[
        AVAILABILITY_REFUSALS,
        DOWNLOAD_REFUSALS,
        &[(403, ErrorCode::LinkPasswordRequired)],
    ];
    const IS_OPEN: bool = true;
    const HOSTS: Hosts = Hosts::Both;
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadSharedContent {
    /// Download what a link shares
    ///
    /// Takes Range and preconditions as the owner's download does. What gives bytes counts as
    /// a download, and the answer has a ticket to resume it: in the header `Plinth-Resume-Ticket`, and in a cookie for this
    /// path. A client that presents the ticket within a day, in the same header or in the cookie, gets ranges that leave
    /// out the first byte without being counted again, also when the link is used up. A ticket is good for the link and
    /// the bytes that it was given for.
    #[oai(
        path = "/links/:token/content",
        method = "get",
        operation_id = "readSharedContent"
    )]
    async fn read(
        &self,
        request: &Request,
        origin: RequestOrigin,
        token: Path<Secret>,
        /// Where the link needs a password: what that got.
        ticket: Query<Option<String>>,
        /// The ticket of a download that is resumed.
        #[oai(name = "Plinth-Resume-Ticket")]
        resume: Header<Option<String>>,
    ) -> Result<Served> {
        let tickets = (ticket.0.as_deref(), resume.0.as_deref());
        let contents = SharedContents {
            links: &self.links,
            host: &self.host,
        };
        contents.give(&origin.0, &token.0.0, tickets, request).await
    }
}

pub(crate) struct ReadSharedContentHeaders {
    pub(super) links: ShareLinks,
    pub(super) host: ContentHost,
}

impl Operation for ReadSharedContentHeaders {
    const REFUSALS: Refusals = &[
        AVAILABILITY_REFUSALS,
        DOWNLOAD_REFUSALS,
        &[(403, ErrorCode::LinkPasswordRequired)],
    ];
    const IS_OPEN: bool = true;
    const HOSTS: Hosts = Hosts::Both;
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadSharedContentHeaders {
    /// Read what a download by a link would be
    ///
    /// It counts as none.
    #[oai(
        path = "/links/:token/content",
        method = "head",
        operation_id = "readSharedContentHeaders"
    )]
    async fn read(
        &self,
        request: &Request,
        origin: RequestOrigin,
        token: Path<Secret>,
        /// Where the link needs a password: what that got.
        ticket: Query<Option<String>>,
        /// The ticket of a download that is resumed.
        #[oai(name = "Plinth-Resume-Ticket")]
        resume: Header<Option<String>>,
    ) -> Result<Served> {
        let tickets = (ticket.0.as_deref(), resume.0.as_deref());
        let contents = SharedContents {
            links: &self.links,
            host: &self.host,
        };
        contents.give(&origin.0, &token.0.0, tickets, request).await
    }
}
