//! How much of a request is read, and how long a body may stand still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plinth_platform::settings::ByteSize;

/// The bounds of reading bodies; put into every request.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The longest JSON body.
    pub json: ByteSize,
    /// How long a streamed body may bring nothing.
    pub idle: Duration,
}

/// What a request's body is doing, as its deadline needs it.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyProgress(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    is_reading: AtomicBool,
    is_streamed: AtomicBool,
}

impl BodyProgress {
    /// Runs what reads the body.
    pub(crate) async fn reading<T>(&self, read: impl Future<Output = T>) -> T {
        self.0.is_reading.store(true, Ordering::Relaxed);
        let read = read.await;
        self.0.is_reading.store(false, Ordering::Relaxed);
        read
    }

    /// Whether the body is still being read: then the client is late, otherwise the service.
    pub(crate) fn is_reading(&self) -> bool {
        self.0.is_reading.load(Ordering::Relaxed)
    }

    /// Lifts the deadline: the body has a least rate instead.
    pub(super) fn stream(&self) {
        self.0.is_streamed.store(true, Ordering::Relaxed);
    }

    /// Whether the operation reads the body as it comes.
    pub(crate) fn is_streamed(&self) -> bool {
        self.0.is_streamed.load(Ordering::Relaxed)
    }
}
