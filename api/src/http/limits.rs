//! Limits of request bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plinth_platform::settings::ByteSize;

/// The limits of request bodies; every request carries them.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The maximum length of a JSON body.
    pub json: ByteSize,
    /// The maximum time without new bytes in a streamed body.
    pub idle: Duration,
}

/// The state of a request's body, for the deadline of the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyProgress(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    is_reading: AtomicBool,
    is_streamed: AtomicBool,
}

impl BodyProgress {
    /// Runs `read` and marks the body as being read until it ends.
    pub(crate) async fn track_reading<T>(&self, read: impl Future<Output = T>) -> T {
        self.0.is_reading.store(true, Ordering::Relaxed);
        let read = read.await;
        self.0.is_reading.store(false, Ordering::Relaxed);
        read
    }

    /// Returns whether the body is still being read. If so, the client is late, not the service.
    pub(crate) fn is_reading(&self) -> bool {
        self.0.is_reading.load(Ordering::Relaxed)
    }

    /// Exempts the request from the deadline: a streamed body has a minimum rate instead.
    pub(super) fn mark_streamed(&self) {
        self.0.is_streamed.store(true, Ordering::Relaxed);
    }

    /// Returns whether the operation streams the body.
    pub(crate) fn is_streamed(&self) -> bool {
        self.0.is_streamed.load(Ordering::Relaxed)
    }
}
