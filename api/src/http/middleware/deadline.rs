//! The deadline of a request. A streamed body, such as a form or a chunk of an upload, has a
//! minimum rate instead.

use poem::{Endpoint, Middleware, Request};

use crate::http::failure::Failure;
use crate::http::limits::{BodyLimits, BodyProgress};

/// Ends a request whose response has not started within [`BodyLimits::idle`].
#[derive(Clone, Copy)]
pub struct Deadline(pub BodyLimits);

pub struct DeadlineEndpoint<E> {
    inner: E,
    limits: BodyLimits,
}

impl<E: Endpoint> Middleware<E> for Deadline {
    type Output = DeadlineEndpoint<E>;

    fn transform(&self, inner: E) -> DeadlineEndpoint<E> {
        DeadlineEndpoint {
            inner,
            limits: self.0,
        }
    }
}

impl<E: Endpoint> Endpoint for DeadlineEndpoint<E> {
    type Output = E::Output;

    // Not an async fn: its future would hold the request twice.
    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<E::Output>> + Send {
        request.set_data(self.limits);
        let progress = BodyProgress::default();
        request.set_data(progress.clone());
        let mut answer = Box::pin(self.inner.call(request));
        let limit = self.limits.idle;
        async move {
            match tokio::time::timeout(limit, &mut answer).await {
                Ok(result) => result,
                Err(_) if progress.is_streamed() => answer.await,
                Err(_) if progress.is_reading() => Err(Failure::Timeout.into()),
                Err(_) => Err(Failure::DeadlineExceeded.into()),
            }
        }
    }
}
