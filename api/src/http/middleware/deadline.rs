//! The bounds of a request: how long it may take and how much of it is read. A body that the operation streams, such as a
//! form or a stretch of an upload, may take as long as it likes, as long as it does not stand still.

use poem::{Endpoint, Middleware, Request};

use crate::http::failure::Failure;
use crate::http::limits::{BodyLimits, BodyProgress};

/// The longest time until the answer begins is that of a body that stands still.
#[derive(Clone, Copy)]
pub struct Deadline(pub BodyLimits);

pub struct Limited<E> {
    inner: E,
    limits: BodyLimits,
}

impl<E: Endpoint> Middleware<E> for Deadline {
    type Output = Limited<E>;

    fn transform(&self, inner: E) -> Limited<E> {
        Limited {
            inner,
            limits: self.0,
        }
    }
}

impl<E: Endpoint> Endpoint for Limited<E> {
    type Output = E::Output;

    /// Not an async fn: its future would carry the request twice.
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
