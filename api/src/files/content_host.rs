//! Serving users' files from a separate host, if the deployment has one, which keeps them off the
//! origin of the API.

use plinth_core::files::{Content, Files, Wanted};
use plinth_domain::id::{FileId, UserId};
use poem::Request;
use poem::http::Method;

use super::serve::{ContentResponse, serve};
use crate::http::content_host::{ContentHost, SeparateHost};
use crate::http::failure::Result;
use crate::http::host::is_requested;

impl ContentHost {
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Returns the response to the owner of a file. Only GET is redirected: HEAD has the same
    /// response on both hosts.
    pub(super) async fn serve_owner(
        &self,
        content: Content,
        (owner, file, wanted): (UserId, FileId, Wanted),
        request: &Request,
    ) -> Result<ContentResponse> {
        match &self.separate {
            Some(separate) if request.method() == Method::GET => {
                let ticket = self.tickets.issue(owner, file, wanted)?;
                Ok(ContentResponse::redirect(&format!(
                    "{}/v1/content/{ticket}",
                    separate.url
                )))
            }
            _ => serve(&self.files, content, request).await,
        }
    }

    /// Returns the response to a request with a ticket.
    pub(super) async fn serve_by_ticket(
        &self,
        ticket: &str,
        request: &Request,
    ) -> Result<ContentResponse> {
        let content = self.tickets.content(ticket).await?;
        serve(&self.files, content, request).await
    }

    /// Returns the redirect of a download by a link to the separate host, or `None` if this host
    /// serves it. The link authorizes the download on both hosts. HEAD is not redirected.
    pub(super) fn redirect_link(&self, request: &Request) -> Option<ContentResponse> {
        let is_here = |separate: &SeparateHost| is_requested(request, &separate.host);
        let is_download = request.method() == Method::GET;
        let separate = self
            .separate
            .as_ref()
            .filter(|separate| is_download && !is_here(separate))?;
        let path = request.uri().path_and_query()?;
        Some(ContentResponse::redirect(&format!(
            "{}{path}",
            separate.url
        )))
    }
}
