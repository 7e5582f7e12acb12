//! Serves two documents: the OpenAPI document, and the page that explains the error codes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, ready};
use poem::error::MethodNotAllowedError;
use poem::http::Method;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::http::error_page;

/// The layer. The documents are not routes, because another level of routing would slow down every
/// request.
#[derive(Clone)]
pub struct ServeDocuments(Arc<[Document; 2]>);

struct Document {
    path: &'static str,
    content_type: &'static str,
    write: fn() -> String,
    /// Rendered at the first request: most replicas never get one.
    written: OnceLock<Bytes>,
}

impl ServeDocuments {
    /// Creates the layer. `openapi` renders the OpenAPI document.
    pub fn new(openapi: fn() -> String) -> Self {
        Self(Arc::new([
            Document {
                path: "/openapi.json",
                content_type: "application/json",
                write: openapi,
                written: OnceLock::new(),
            },
            Document {
                path: error_page::PATH,
                content_type: "text/html; charset=utf-8",
                write: error_page::html,
                written: OnceLock::new(),
            },
        ]))
    }
}

impl Document {
    fn answer(&self, method: &Method) -> poem::Result<Response> {
        match *method {
            Method::GET | Method::HEAD => {
                let written = self.written.get_or_init(|| (self.write)().into());
                Ok(written
                    .clone()
                    .with_content_type(self.content_type)
                    .into_response())
            }
            _ => Err(MethodNotAllowedError.into()),
        }
    }
}

pub struct ServeDocumentsEndpoint<E> {
    inner: E,
    documents: ServeDocuments,
}

impl<E: Endpoint> Middleware<E> for ServeDocuments {
    type Output = ServeDocumentsEndpoint<E>;

    fn transform(&self, inner: E) -> ServeDocumentsEndpoint<E> {
        ServeDocumentsEndpoint {
            inner,
            documents: self.clone(),
        }
    }
}

impl<E: Endpoint> Endpoint for ServeDocumentsEndpoint<E> {
    type Output = Response;

    // Not an async fn: its future would hold the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let path = request.uri().path();
        match self
            .documents
            .0
            .iter()
            .find(|document| document.path == path)
        {
            Some(document) => Either::Left(ready(document.answer(request.method()))),
            None => Either::Right(self.inner.call(request).map_ok(IntoResponse::into_response)),
        }
    }
}
