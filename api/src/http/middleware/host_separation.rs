//! Separates the host of users' files from the host of the API: each answers only its own paths.

use futures_util::TryFutureExt as _;
use futures_util::future::{Either, ready};
use poem::error::NotFoundError;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::http::host::{Host, is_requested};
use crate::http::operation::Hosts;
use crate::http::route_table::RouteTable;

/// The layer, for a deployment with a separate host for users' files.
pub struct HostSeparation {
    pub content: Host,
    pub table: RouteTable,
}

pub struct HostSeparationEndpoint<E> {
    content: Host,
    table: RouteTable,
    inner: E,
}

impl<E: Endpoint> Middleware<E> for HostSeparation {
    type Output = HostSeparationEndpoint<E>;

    fn transform(&self, inner: E) -> HostSeparationEndpoint<E> {
        HostSeparationEndpoint {
            content: self.content.clone(),
            table: self.table.clone(),
            inner,
        }
    }
}

impl<E: Endpoint> Endpoint for HostSeparationEndpoint<E> {
    type Output = Response;

    // Not an async fn: its future would hold the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let is_content_host = is_requested(&request, &self.content);
        let is_served_here = match self.table.hosts(request.uri().path()) {
            Hosts::Api => !is_content_host,
            Hosts::Content => is_content_host,
            Hosts::Both => true,
        };
        if is_served_here {
            Either::Left(self.inner.call(request).map_ok(IntoResponse::into_response))
        } else {
            Either::Right(ready(Err(NotFoundError.into())))
        }
    }
}
