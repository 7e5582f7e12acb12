//! The body on its way to a form.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use plinth_platform::crypto::Sha256;

/// Hashes it as it passes.
#[derive(Clone)]
pub(super) struct HashedBody(Arc<Mutex<Passing>>);

struct Passing {
    bytes: BoxStream<'static, std::io::Result<Bytes>>,
    /// `None` where nobody asks for it.
    hash: Option<Sha256>,
}

impl HashedBody {
    pub(super) fn new(bytes: BoxStream<'static, std::io::Result<Bytes>>, is_wanted: bool) -> Self {
        Self(Arc::new(Mutex::new(Passing { bytes, hash: is_wanted.then(Sha256::default) })))
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        let mut passing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = passing.bytes.poll_next_unpin(context);
        if let (Poll::Ready(Some(Ok(bytes))), Some(hash)) = (&polled, &mut passing.hash) {
            hash.update(bytes);
        }
        polled
    }

    pub(super) fn stream(&self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static {
        let body = self.clone();
        stream::poll_fn(move |context| body.poll(context))
    }

    pub(super) fn hash(&self) -> Option<[u8; 32]> {
        let mut passing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passing.hash.take().map(Sha256::finish)
    }
}
