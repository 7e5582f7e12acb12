//! A parameter of the query has one value. Of two, one part of a system may look at the first and another at the last.

use std::collections::HashSet;

use futures_util::TryFutureExt as _;
use futures_util::future::{Either, ready};
use plinth_core::Error;
use plinth_domain::rejection::Rejection;
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::http::failure::Failure;

/// The layer.
pub struct SingleValues;

pub struct Unambiguous<E>(E);

impl<E: Endpoint> Middleware<E> for SingleValues {
    type Output = Unambiguous<E>;

    fn transform(&self, inner: E) -> Unambiguous<E> {
        Unambiguous(inner)
    }
}

impl<E: Endpoint> Endpoint for Unambiguous<E> {
    type Output = Response;

    /// Not an async fn: its future would carry the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        match repeated(&request) {
            None => Either::Left(self.0.call(request).map_ok(IntoResponse::into_response)),
            Some(name) => Either::Right(ready(Err(given_twice(&name).into()))),
        }
    }
}

/// The name of a parameter that is there more than once. A query that cannot be read is the operation's to refuse.
fn repeated(request: &Request) -> Option<String> {
    request.uri().query()?;
    let parameters: Vec<(String, String)> = request.params().ok()?;
    let mut seen = HashSet::new();
    parameters.into_iter().map(|(name, _)| name).find(|name| !seen.insert(name.clone()))
}

fn given_twice(name: &str) -> Failure {
    let pointer = format!("/query/{}", name.replace('~', "~0").replace('/', "~1"));
    Error::invalid(&pointer, Rejection::new("ambiguous", "A parameter is given once.")).into()
}
