//! The minimum rate of a streamed body: a slow client occupies a connection and memory.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use plinth_core::Error;
use poem::{Request, RequestBody};
use tokio::time::{Instant, Sleep, sleep_until};

use super::failure::{Failure, Result};
use super::limits::{BodyLimits, BodyProgress};

/// The minimum rate of a body while the API waits for it, in bytes per second.
const MIN_BYTES_PER_SECOND: u64 = 4 * 1024;

/// A body that ends with an error if it is too slow within a window. Time in which the API does not
/// read, because a store is slower than the client, does not count.
pub(super) struct MinRateBody {
    bytes: BoxStream<'static, std::io::Result<Bytes>>,
    window: Duration,
    /// The time within the current window that was spent waiting for bytes.
    waited: Duration,
    received: u64,
    waiting_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// The body is slower than [`MIN_BYTES_PER_SECOND`].
#[derive(Debug, thiserror::Error)]
#[error("the body is too slow")]
struct TooSlow;

/// Returns the error for a body that could not be read to its end.
pub(super) fn map_body_error(error: std::io::Error) -> Failure {
    match error.get_ref() {
        Some(cause) if cause.is::<TooSlow>() => Failure::Timeout,
        _ => Failure::BrokenBody(error),
    }
}

impl MinRateBody {
    /// Takes the body of a request. From now on its minimum rate replaces the deadline, whatever
    /// its media type is.
    pub(super) fn take(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let body = body
            .take()
            .map_err(|error| Error::internal(Box::new(error)))?;
        let limits = request
            .data::<BodyLimits>()
            .expect("every request carries its limits");
        request
            .data::<BodyProgress>()
            .expect("every request carries its progress")
            .mark_streamed();
        Ok(Self::new(body.into_bytes_stream().boxed(), limits.idle))
    }

    fn new(bytes: BoxStream<'static, std::io::Result<Bytes>>, window: Duration) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self {
            bytes,
            window,
            waited: Duration::ZERO,
            received: 0,
            waiting_since: None,
            timer,
        }
    }

    /// Starts the next window. Fails if too few bytes came in the current one.
    fn next_window(&mut self) -> std::io::Result<()> {
        if self.received < MIN_BYTES_PER_SECOND * self.window.as_secs().max(1) {
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, TooSlow));
        }
        (self.waited, self.received) = (Duration::ZERO, 0);
        Ok(())
    }
}

impl Stream for MinRateBody {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.bytes.poll_next_unpin(context);
        let now = Instant::now();
        if let Poll::Ready(item) = polled {
            if let Some(since) = self.waiting_since.take() {
                self.waited += now - since;
            }
            if let Some(Ok(bytes)) = &item {
                self.received += bytes.len() as u64;
                if self.waited >= self.window {
                    self.next_window()?;
                }
            }
            return Poll::Ready(item);
        }
        loop {
            let since = *self.waiting_since.get_or_insert(now);
            let end = since + self.window.saturating_sub(self.waited);
            if self.timer.deadline() != end {
                self.timer.as_mut().reset(end);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.next_window()?;
            self.waiting_since = Some(Instant::now());
        }
    }
}
