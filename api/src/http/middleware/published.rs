//! The OpenAPI document at `/openapi.json`, beside the operations that it describes.

use std::sync::LazyLock;

use futures_util::TryFutureExt as _;
use futures_util::future::{Either, ready};
use poem::error::MethodNotAllowedError;
use poem::http::Method;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::http::document as openapi;

const PATH: &str = "/openapi.json";

/// Written when it is first asked for: most replicas never are.
static DOCUMENT: LazyLock<String> = LazyLock::new(openapi::document);

/// The layer. No route of its own: one more level of routes would be paid by every request.
pub struct Published;

pub struct WithDocument<E>(E);

impl<E: Endpoint> Middleware<E> for Published {
    type Output = WithDocument<E>;

    fn transform(&self, inner: E) -> WithDocument<E> {
        WithDocument(inner)
    }
}

impl<E: Endpoint> Endpoint for WithDocument<E> {
    type Output = Response;

    /// Not an async fn: its future would carry the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        if request.uri().path() == PATH {
            Either::Left(ready(document(request.method())))
        } else {
            Either::Right(self.0.call(request).map_ok(IntoResponse::into_response))
        }
    }
}

fn document(method: &Method) -> poem::Result<Response> {
    match *method {
        Method::GET | Method::HEAD => Ok(DOCUMENT
            .as_str()
            .with_content_type("application/json")
            .into_response()),
        _ => Err(MethodNotAllowedError.into()),
    }
}
