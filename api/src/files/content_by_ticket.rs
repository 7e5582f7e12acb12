//! GET and HEAD /v1/content/{ticket}

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::content_host::ContentHost;
use super::serve::Served;
use crate::http::document::Tag;
use crate::http::failure::Result;

pub(crate) struct ReadContentByTicket {
    pub(super) host: ContentHost,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadContentByTicket {
    /// Download by a ticket
    ///
    /// Where a deployment gives users' files on a host of their own, downloads are sent on to here, with a ticket that is
    /// good for a minute.
    #[oai(
        path = "/content/:ticket",
        method = "get",
        operation_id = "readContentByTicket"
    )]
    async fn read(&self, request: &Request, ticket: Path<String>) -> Result<Served> {
        self.host.give_by_ticket(&ticket.0, request).await
    }
}

pub(crate) struct ReadContentHeadersByTicket {
    pub(super) host: ContentHost,
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadContentHeadersByTicket {
    /// Read what a download by a ticket would be
    #[oai(
        path = "/content/:ticket",
        method = "head",
        operation_id = "readContentHeadersByTicket"
    )]
    async fn read(&self, request: &Request, ticket: Path<String>) -> Result<Served> {
        self.host.give_by_ticket(&ticket.0, request).await
    }
}
