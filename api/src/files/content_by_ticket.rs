//! GET and HEAD /v1/content/{ticket}

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::serve::ContentResponse;
use crate::files::serve::{AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS};
use crate::http::content_host::ContentHost;
use crate::http::document::Tag;
use crate::http::failure::Result;
use crate::http::operation::{Hosts, Operation, Refusals};
use crate::http::secret::Secret;

pub(crate) struct ReadContentByTicket {
    pub(super) host: ContentHost,
}

impl Operation for ReadContentByTicket {
    const REFUSALS: Refusals = &[AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS];
    const IS_OPEN: bool = true;
    const HOSTS: Hosts = Hosts::Content;
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadContentByTicket {
    /// Download by a ticket
    ///
    /// If the deployment has a separate host for users' files, downloads are redirected to this
    /// operation there. A ticket is valid for a minute.
    #[oai(
        path = "/content/:ticket",
        method = "get",
        operation_id = "readContentByTicket"
    )]
    async fn read(&self, request: &Request, ticket: Path<Secret>) -> Result<ContentResponse> {
        self.host.serve_by_ticket(&ticket.0.0, request).await
    }
}

pub(crate) struct ReadContentHeadersByTicket {
    pub(super) host: ContentHost,
}

impl Operation for ReadContentHeadersByTicket {
    const REFUSALS: Refusals = &[AVAILABILITY_REFUSALS, DOWNLOAD_REFUSALS];
    const IS_OPEN: bool = true;
    const HOSTS: Hosts = Hosts::Content;
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Files")]
impl ReadContentHeadersByTicket {
    /// Read the headers of a download by a ticket
    #[oai(
        path = "/content/:ticket",
        method = "head",
        operation_id = "readContentHeadersByTicket"
    )]
    async fn read(&self, request: &Request, ticket: Path<Secret>) -> Result<ContentResponse> {
        self.host.serve_by_ticket(&ticket.0.0, request).await
    }
}
