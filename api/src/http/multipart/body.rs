//! The body of a form, read piece by piece and hashed.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use multer::{Field, Multipart};
use plinth_platform::crypto::Sha256;

/// The size of the pieces that multer gets, in bytes. multer buffers some of them, and the
/// allocator keeps larger blocks for a second after they are freed.
const PIECE_BYTES: usize = 64 * 1024;

/// The maximum number of bytes without data of a field. multer buffers them and searches all of
/// them again with each piece.
const MAX_OVERHEAD_BYTES: usize = 16 * 1024;

/// The body has more bytes around its fields than any client needs.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_OVERHEAD_BYTES} bytes without data of a field")]
struct TooMuchOverhead;

/// A body that is hashed while it is read.
#[derive(Clone)]
pub(super) struct HashedBody(Arc<Mutex<BodyState>>);

struct BodyState {
    bytes: BoxStream<'static, std::io::Result<Bytes>>,
    /// The unread part of the last chunk.
    rest: Bytes,
    /// `None` if no digest was sent.
    hash: Option<Sha256>,
    /// Whether the next piece may be read.
    may_read: bool,
    /// Bytes read since the form returned a field or data of a field.
    overhead: usize,
}

impl HashedBody {
    pub(super) fn new(bytes: BoxStream<'static, std::io::Result<Bytes>>, is_hashed: bool) -> Self {
        Self(Arc::new(Mutex::new(BodyState {
            bytes,
            rest: Bytes::new(),
            hash: is_hashed.then(Sha256::default),
            may_read: false,
            overhead: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, BodyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the stream for multer, which must be driven by [`Self::next_field`] and
    /// [`Self::chunk`].
    pub(super) fn stream(
        &self,
    ) -> impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static {
        let body = self.clone();
        stream::poll_fn(move |context| body.state().poll(context))
    }

    /// Returns the next field of the form, or `None` at its end.
    pub(super) async fn next_field(
        &self,
        form: &mut Multipart<'static>,
    ) -> multer::Result<Option<Field<'static>>> {
        self.parse(|context| form.poll_next_field(context)).await
    }

    /// Returns the next bytes of a field, or `None` at its end.
    pub(super) async fn chunk(&self, field: &mut Field<'static>) -> multer::Result<Option<Bytes>> {
        self.parse(|context| field.poll_next_unpin(context).map(Option::transpose))
            .await
    }

    /// Reads the rest of the body, after the end of the form.
    pub(super) async fn finish(&self) -> multer::Result<()> {
        loop {
            self.state().allow_next_piece()?;
            match poll_fn(|context| self.state().poll(context)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(multer::Error::StreamReadFailed(error.into())),
                None => return Ok(()),
            }
        }
    }

    /// Polls multer, and gives it another piece only if it needs one. Otherwise multer reads all
    /// bytes that are available with each call, and buffers them.
    async fn parse<T>(
        &self,
        mut parse: impl FnMut(&mut Context<'_>) -> Poll<multer::Result<T>>,
    ) -> multer::Result<T> {
        poll_fn(|context| {
            loop {
                self.state().may_read = false;
                let mut polled = parse(context);
                if polled.is_pending() {
                    self.state().allow_next_piece()?;
                    polled = parse(context);
                }
                let mut state = self.state();
                if polled.is_ready() {
                    state.overhead = 0;
                    return polled;
                }
                if state.may_read {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    pub(super) fn hash(&self) -> Option<[u8; 32]> {
        self.state().hash.take().map(Sha256::finish)
    }
}

impl BodyState {
    /// Allows the next piece to be read.
    fn allow_next_piece(&mut self) -> multer::Result<()> {
        if self.overhead > MAX_OVERHEAD_BYTES {
            return Err(multer::Error::StreamReadFailed(TooMuchOverhead.into()));
        }
        self.may_read = true;
        Ok(())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        if !self.may_read {
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match self.bytes.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(bytes))) => self.rest = bytes,
                other => {
                    self.may_read = other.is_pending();
                    return other;
                }
            }
        }
        let piece = self.rest.split_to(PIECE_BYTES.min(self.rest.len()));
        if let Some(hash) = &mut self.hash {
            hash.update(&piece);
        }
        self.may_read = false;
        self.overhead += piece.len();
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn at_most_one_piece_is_read_at_a_time() {
        let head = "--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n";
        let pieces = (0..50).map(|_| Bytes::from(vec![7; 100_000]));
        let body = [head.into()]
            .into_iter()
            .chain(pieces)
            .chain(["\r\n--x--\r\n".into()]);
        let body = HashedBody::new(stream::iter(body.map(Ok)).boxed(), false);
        let mut form = Multipart::new(body.stream(), "x");
        let mut file = body
            .next_field(&mut form)
            .await
            .expect("is a form")
            .expect("has a field");
        let (mut size, mut largest) = (0, 0);
        while let Some(bytes) = body.chunk(&mut file).await.expect("is read") {
            size += bytes.len();
            largest = largest.max(bytes.len());
        }
        assert_eq!((size, largest), (5_000_000, PIECE_BYTES));
    }

    #[tokio::test]
    async fn small_parts_in_one_chunk_are_read_one_by_one() {
        let part = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nbytes\r\n";
        let pieces = [part.repeat(5_000).into(), Bytes::from("--x--\r\n")];
        let body = HashedBody::new(stream::iter(pieces.map(Ok)).boxed(), false);
        let mut form = Multipart::new(body.stream(), "x");
        let mut count = 0;
        while let Some(mut field) = body.next_field(&mut form).await.expect("is a form") {
            while body.chunk(&mut field).await.expect("is read").is_some() {}
            count += 1;
        }
        assert_eq!(count, 5_000);
    }

    #[tokio::test]
    async fn only_what_multer_needs_is_read() {
        let part = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\r\n";
        let pieces = (0..100).map(move |_| Ok(Bytes::from(part)));
        let body = HashedBody::new(stream::iter(pieces).boxed(), false);
        let mut form = Multipart::new(body.stream(), "x");
        for _ in 0..10 {
            body.next_field(&mut form)
                .await
                .expect("is a form")
                .expect("has a field");
        }
        let left = body.state().bytes.size_hint().0;
        assert!(left >= 85, "{left} of 100 pieces are left");
    }
}
