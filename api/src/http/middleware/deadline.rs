//! How long a request may take. A form is streamed and has a deadline for standing still instead.

use std::time::Duration;

use poem::{Endpoint, Middleware, Request};

use crate::http::failure::Failure;

/// The longest time until the answer begins.
#[derive(Clone, Copy)]
pub struct Deadline(pub Duration);

pub struct Limited<E> {
    inner: E,
    limit: Duration,
}

impl<E: Endpoint> Middleware<E> for Deadline {
    type Output = Limited<E>;

    fn transform(&self, inner: E) -> Limited<E> {
        Limited { inner, limit: self.0 }
    }
}

impl<E: Endpoint> Endpoint for Limited<E> {
    type Output = E::Output;

    async fn call(&self, request: Request) -> poem::Result<E::Output> {
        let streams = request.content_type().is_some_and(|kind| kind.starts_with("multipart/"));
        if streams {
            return self.inner.call(request).await;
        }
        match tokio::time::timeout(self.limit, Box::pin(self.inner.call(request))).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout.into()),
        }
    }
}
