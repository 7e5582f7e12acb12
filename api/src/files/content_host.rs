//! Users' files on a host of their own, where the deployment has one: nothing in a file then shares an origin with the API.

use plinth_core::files::{Content, Files, Wanted};
use plinth_domain::id::{FileId, UserId};
use poem::Request;
use poem::http::Method;

use super::serve::{Served, serve};
use crate::http::content_host::{ContentHost, Elsewhere};
use crate::http::failure::Result;
use crate::http::host::asked_for;

impl ContentHost {
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// The answer to an owner. What HEAD says is the same in both places.
    pub(super) async fn give(
        &self,
        content: Content,
        (owner, file, wanted): (UserId, FileId, Wanted),
        request: &Request,
    ) -> Result<Served> {
        match &self.elsewhere {
            Some(elsewhere) if request.method() == Method::GET => {
                let ticket = self.tickets.issue(owner, file, wanted)?;
                Ok(Served::elsewhere(&format!(
                    "{}/v1/content/{ticket}",
                    elsewhere.url
                )))
            }
            _ => serve(&self.files, content, request).await,
        }
    }

    /// The answer to whoever has a ticket.
    pub(super) async fn give_by_ticket(&self, ticket: &str, request: &Request) -> Result<Served> {
        let content = self.tickets.content(ticket).await?;
        serve(&self.files, content, request).await
    }

    /// Where a download by a link is, if not here: the link is all that it needs there too. HEAD is answered in both places.
    pub(super) fn of_link(&self, request: &Request) -> Option<Served> {
        let is_here = |elsewhere: &Elsewhere| asked_for(request, &elsewhere.host);
        let is_download = request.method() == Method::GET;
        let elsewhere = self
            .elsewhere
            .as_ref()
            .filter(|elsewhere| is_download && !is_here(elsewhere))?;
        let path = request.uri().path_and_query()?;
        Some(Served::elsewhere(&format!("{}{path}", elsewhere.url)))
    }
}
