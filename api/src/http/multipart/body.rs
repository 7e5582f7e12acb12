//! The body on its way to a form.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use plinth_platform::crypto::Sha256;

/// Bytes that multer gets at once. It keeps some of them while others are asked for, and larger pieces of memory come
/// dearer: what is freed of them is kept for a second.
const PIECE: usize = 64 * 1024;

/// Hashes it as it passes.
#[derive(Clone)]
pub(super) struct HashedBody(Arc<Mutex<Passing>>);

struct Passing {
    bytes: BoxStream<'static, std::io::Result<Bytes>>,
    /// What came with the last piece.
    rest: Bytes,
    /// `None` where nobody asks for it.
    hash: Option<Sha256>,
}

impl HashedBody {
    pub(super) fn new(bytes: BoxStream<'static, std::io::Result<Bytes>>, is_wanted: bool) -> Self {
        Self(Arc::new(Mutex::new(Passing {
            bytes,
            rest: Bytes::new(),
            hash: is_wanted.then(Sha256::default),
        })))
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll(context)
    }

    /// One piece a turn: multer reads on as long as there is more, and keeps all of it in memory.
    pub(super) fn stream(&self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static {
        let body = self.clone();
        let mut had_its_turn = false;
        stream::poll_fn(move |context| {
            if std::mem::take(&mut had_its_turn) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let polled = body.poll(context);
            had_its_turn = matches!(polled, Poll::Ready(Some(Ok(_))));
            polled
        })
    }

    pub(super) fn hash(&self) -> Option<[u8; 32]> {
        let mut passing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passing.hash.take().map(Sha256::finish)
    }
}

impl Passing {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        if self.rest.is_empty() {
            match self.bytes.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(bytes))) => self.rest = bytes,
                other => return other,
            }
        }
        let piece = self.rest.split_to(PIECE.min(self.rest.len()));
        if let Some(hash) = &mut self.hash {
            hash.update(&piece);
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use multer::Multipart;

    use super::*;

    #[tokio::test]
    async fn no_more_than_a_piece_is_read_at_once_however_fast_it_comes() {
        let head = "--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n";
        let pieces = (0..50).map(|_| Bytes::from(vec![7; 100_000]));
        let body = [head.into()].into_iter().chain(pieces).chain(["\r\n--x--\r\n".into()]);
        let body = HashedBody::new(stream::iter(body.map(Ok)).boxed(), false);
        let mut form = Multipart::new(body.stream(), "x");
        let mut file = form.next_field().await.expect("is a form").expect("has a field");
        let (mut size, mut largest) = (0, 0);
        while let Some(bytes) = file.chunk().await.expect("is read") {
            size += bytes.len();
            largest = largest.max(bytes.len());
        }
        assert_eq!((size, largest), (5_000_000, PIECE));
    }
}
