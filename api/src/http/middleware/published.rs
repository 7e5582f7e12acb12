//! The OpenAPI document at `/openapi.json`, beside the operations that it describes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, ready};
use poem::error::MethodNotAllowedError;
use poem::http::Method;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

const PATH: &str = "/openapi.json";

/// The layer. The document is no route of its own: every request would pay for one more level of routes.
#[derive(Clone)]
pub struct Published(Arc<Document>);

struct Document {
    write: fn() -> String,
    /// Written at the first request for it: most replicas never get one.
    written: OnceLock<Bytes>,
}

impl Published {
    pub fn new(write: fn() -> String) -> Self {
        Self(Arc::new(Document {
            write,
            written: OnceLock::new(),
        }))
    }

    fn answer(&self, method: &Method) -> poem::Result<Response> {
        match *method {
            Method::GET | Method::HEAD => {
                let written = self.0.written.get_or_init(|| (self.0.write)().into());
                Ok(written
                    .clone()
                    .with_content_type("application/json")
                    .into_response())
            }
            _ => Err(MethodNotAllowedError.into()),
        }
    }
}

pub struct WithDocument<E> {
    inner: E,
    document: Published,
}

impl<E: Endpoint> Middleware<E> for Published {
    type Output = WithDocument<E>;

    fn transform(&self, inner: E) -> WithDocument<E> {
        WithDocument {
            inner,
            document: self.clone(),
        }
    }
}

impl<E: Endpoint> Endpoint for WithDocument<E> {
    type Output = Response;

    /// Not an async fn: its future would carry the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        if request.uri().path() == PATH {
            Either::Left(ready(self.document.answer(request.method())))
        } else {
            Either::Right(self.inner.call(request).map_ok(IntoResponse::into_response))
        }
    }
}
