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

/// Whether a request's body is still being read: then the client is late, otherwise the service.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyProgress(Arc<AtomicBool>);

impl BodyProgress {
    /// Runs what reads the body.
    pub(crate) async fn reading<T>(&self, read: impl Future<Output = T>) -> T {
        self.0.store(true, Ordering::Relaxed);
        let read = read.await;
        self.0.store(false, Ordering::Relaxed);
        read
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
