//! Keeps the host of users' files and that of the API apart: neither answers what the other is for.

use futures_util::TryFutureExt as _;
use futures_util::future::{Either, ready};
use poem::error::NotFoundError;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::http::host::{Host, asked_for};
use crate::http::operation::Hosts;
use crate::http::route_table::RouteTable;

/// The layer, for a deployment that has such a host.
pub struct ContentOnly {
    pub content: Host,
    pub table: RouteTable,
}

pub struct Separated<E> {
    content: Host,
    table: RouteTable,
    inner: E,
}

impl<E: Endpoint> Middleware<E> for ContentOnly {
    type Output = Separated<E>;

    fn transform(&self, inner: E) -> Separated<E> {
        Separated {
            content: self.content.clone(),
            table: self.table.clone(),
            inner,
        }
    }
}

impl<E: Endpoint> Endpoint for Separated<E> {
    type Output = Response;

    /// Not an async fn: its future would carry the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let is_content_host = asked_for(&request, &self.content);
        let is_fit = match self.table.hosts(request.uri().path()) {
            Hosts::Api => !is_content_host,
            Hosts::Content => is_content_host,
            Hosts::Both => true,
        };
        if is_fit {
            Either::Left(self.inner.call(request).map_ok(IntoResponse::into_response))
        } else {
            Either::Right(ready(Err(NotFoundError.into())))
        }
    }
}
