//! GET and HEAD /v1/links/{token}/content

use plinth_core::files::{DownloadTickets, ShareLinks};
use plinth_domain::audit::Origin;
use plinth_domain::error_code::ErrorCode;
use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};

use super::super::serve::{ContentResponse, SentBytes, serve};
use super::resume;
use crate::files::serve::{AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS};
use crate::http::content_host::ContentHost;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Hosts, Operation, Refusals};
use crate::http::origin::RequestOrigin;
use crate::http::secret::Secret;

/// Serves shared files to visitors.
struct SharedContents<'a> {
    links: &'a ShareLinks,
    host: &'a ContentHost,
}

impl SharedContents<'_> {
    /// Serves the file of a link. A response with bytes counts as a download; HEAD never counts.
    async fn serve(
        &self,
        origin: &Origin,
        token: &str,
        (password, resume): (Option<&str>, Option<&str>),
        request: &Request,
    ) -> Result<ContentResponse> {
        if let Some(response) = self.host.redirect_link(request) {
            return Ok(response);
        }
        let resume = resume.or_else(|| resume::from_cookie(request.headers()));
        let shared = self
            .links
            .content(token, DownloadTickets { password, resume })
            .await?;
        // Opens the content before it is counted, so that a failing object store does not use up
        // the link.
        let mut response = serve(self.links.files(), shared.content.clone(), request).await?;
        let counted = match response.sent {
            SentBytes::None => None,
            SentBytes::FromStart => self.links.count(origin, &shared, true).await?,
            SentBytes::Rest => self.links.count(origin, &shared, false).await?,
        };
        if let Some(ticket) = counted {
            resume::set_ticket(response.headers_mut(), &ticket, request.uri().path());
        }
        Ok(response)
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
    /// Download a shared file
    ///
    /// Supports Range and preconditions like the owner's download. A response with bytes counts as
    /// a download and has a ticket to resume it, in the header `Plinth-Resume-Ticket` and in a
    /// cookie for this path. Within a day, a client that sends the ticket, in the same header or in
    /// the cookie, can read ranges without the first byte. They are not counted again, and work
    /// even if the link is used up. A ticket is valid for the link and the bytes that it was issued
    /// for.
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
        /// The ticket for a link with a password.
        ticket: Query<Option<String>>,
        /// The ticket of the download to resume.
        #[oai(name = "Plinth-Resume-Ticket")]
        resume: Header<Option<String>>,
    ) -> Result<ContentResponse> {
        let tickets = (ticket.0.as_deref(), resume.0.as_deref());
        let contents = SharedContents {
            links: &self.links,
            host: &self.host,
        };
        contents
            .serve(&origin.0, &token.0.0, tickets, request)
            .await
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
    /// Read the headers of a download of a shared file
    ///
    /// Does not count as a download.
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
        /// The ticket for a link with a password.
        ticket: Query<Option<String>>,
        /// The ticket of the download to resume.
        #[oai(name = "Plinth-Resume-Ticket")]
        resume: Header<Option<String>>,
    ) -> Result<ContentResponse> {
        let tickets = (ticket.0.as_deref(), resume.0.as_deref());
        let contents = SharedContents {
            links: &self.links,
            host: &self.host,
        };
        contents
            .serve(&origin.0, &token.0.0, tickets, request)
            .await
    }
}
