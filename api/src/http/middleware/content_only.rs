//! Keeps the host of users' files and that of the API apart: neither answers what the other is for.

use futures_util::TryFutureExt as _;
use futures_util::future::{Either, ready};
use poem::error::NotFoundError;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::http::host::{Host, asked_for};

/// What only the host of users' files gives.
const CONTENT: &str = "/v1/content/";
/// What it gives besides, of links.
const LINKS: (&str, &str) = ("/v1/links/", "/content");

/// The layer, for a deployment that has such a host.
pub struct ContentOnly(pub Host);

pub struct Separated<E> {
    content: Host,
    inner: E,
}

impl<E: Endpoint> Middleware<E> for ContentOnly {
    type Output = Separated<E>;

    fn transform(&self, inner: E) -> Separated<E> {
        Separated {
            content: self.0.clone(),
            inner,
        }
    }
}

impl<E: Endpoint> Endpoint for Separated<E> {
    type Output = Response;

    /// Not an async fn: its future would carry the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let path = request.uri().path();
        let is_fit = if asked_for(&request, &self.content) {
            path.starts_with(CONTENT) || path.starts_with(LINKS.0) && path.ends_with(LINKS.1)
        } else {
            !path.starts_with(CONTENT)
        };
        if is_fit {
            Either::Left(self.inner.call(request).map_ok(IntoResponse::into_response))
        } else {
            Either::Right(ready(Err(NotFoundError.into())))
        }
    }
}
