//! GET and HEAD /v1/links/{token}/content

use plinth_core::files::ShareLinks;
use plinth_domain::audit::Origin;
use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use super::super::content_host::ContentHost;
use super::super::serve::{Gives, Served, serve};
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::origin::RequestOrigin;

/// Gives visitors what links share.
#[derive(Clone)]
pub(crate) struct SharedContents {
    pub(super) links: ShareLinks,
    pub(super) host: ContentHost,
}

impl SharedContents {
    /// What gives bytes counts as a download, which HEAD never does.
    async fn give(
        &self,
        origin: &Origin,
        token: &str,
        ticket: Option<&str>,
        request: &Request,
    ) -> Result<Served> {
        if let Some(served) = self.host.of_link(request) {
            return Ok(served);
        }
        let shared = self.links.content(origin, token, ticket).await?;
        // Its first bytes are there before it counts: no fault of the store uses a link up.
        let served = serve(self.links.files(), shared.content.clone(), request).await?;
        match served.gives {
            Gives::Nothing => {}
            Gives::Beginning => self.links.count(origin, &shared, true).await?,
            Gives::Rest => self.links.count(origin, &shared, false).await?,
        }
        Ok(served)
    }
}

pub(crate) struct ReadSharedContent {
    pub(super) contents: SharedContents,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadSharedContent {
    /// Download what a link shares
    ///
    /// Takes Range, If-Range, If-None-Match and If-Modified-Since as the owner's download does. What gives bytes counts as
    /// a download, except where a client goes on, within a day, with one that it has begun: with ranges that leave out
    /// the first byte.
    #[oai(path = "/links/:token/content", method = "get", operation_id = "readSharedContent")]
    async fn read(
        &self,
        request: &Request,
        origin: RequestOrigin,
        token: Path<String>,
        /// Where the link needs a password: what that got.
        ticket: Query<Option<String>>,
    ) -> Result<Served> {
        self.contents.give(&origin.0, &token.0, ticket.0.as_deref(), request).await
    }
}

pub(crate) struct ReadSharedContentHeaders {
    pub(super) contents: SharedContents,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadSharedContentHeaders {
    /// Read what a download by a link would be
    ///
    /// It counts as none.
    #[oai(path = "/links/:token/content", method = "head", operation_id = "readSharedContentHeaders")]
    async fn read(
        &self,
        request: &Request,
        origin: RequestOrigin,
        token: Path<String>,
        /// Where the link needs a password: what that got.
        ticket: Query<Option<String>>,
    ) -> Result<Served> {
        self.contents.give(&origin.0, &token.0, ticket.0.as_deref(), request).await
    }
}
