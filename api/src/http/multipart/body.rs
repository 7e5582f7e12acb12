//! The body on its way to a form.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use multer::{Field, Multipart};
use plinth_platform::crypto::Sha256;

/// Bytes that multer gets at once. It keeps some of them while others are asked for, and larger pieces of memory come
/// dearer: what is freed of them is kept for a second.
const PIECE: usize = 64 * 1024;

/// Bytes without data of a field after which no more are read: multer keeps them, and searches all of them again with
/// each piece.
const MAX_OVERHEAD: usize = 16 * 1024;

/// The body has more around its fields than a client writes.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_OVERHEAD} bytes came without data of a field")]
struct TooMuchOverhead;

/// Hashes it as it passes.
#[derive(Clone)]
pub(super) struct HashedBody(Arc<Mutex<Passing>>);

struct Passing {
    bytes: BoxStream<'static, std::io::Result<Bytes>>,
    /// What came with the last piece.
    rest: Bytes,
    /// `None` where nobody asks for it.
    hash: Option<Sha256>,
    /// The next piece may be taken.
    is_wanted: bool,
    /// Bytes taken since the form gave a field or data of one.
    overhead: usize,
}

impl HashedBody {
    pub(super) fn new(bytes: BoxStream<'static, std::io::Result<Bytes>>, is_hashed: bool) -> Self {
        Self(Arc::new(Mutex::new(Passing {
            bytes,
            rest: Bytes::new(),
            hash: is_hashed.then(Sha256::default),
            is_wanted: false,
            overhead: 0,
        })))
    }

    fn passing(&self) -> MutexGuard<'_, Passing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What multer reads: it must be driven by [`Self::next_field`] and [`Self::chunk`].
    pub(super) fn stream(
        &self,
    ) -> impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static {
        let body = self.clone();
        stream::poll_fn(move |context| body.passing().poll(context))
    }

    /// The next field of the form.
    pub(super) async fn next_field(
        &self,
        form: &mut Multipart<'static>,
    ) -> multer::Result<Option<Field<'static>>> {
        self.parse(|context| form.poll_next_field(context)).await
    }

    /// The next bytes of a field.
    pub(super) async fn chunk(&self, field: &mut Field<'static>) -> multer::Result<Option<Bytes>> {
        self.parse(|context| field.poll_next_unpin(context).map(Option::transpose))
            .await
    }

    /// Reads what follows the form.
    pub(super) async fn finish(&self) -> multer::Result<()> {
        loop {
            self.passing().want()?;
            match poll_fn(|context| self.passing().poll(context)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(multer::Error::StreamReadFailed(error.into())),
                None => return Ok(()),
            }
        }
    }

    /// Waits for what multer makes of the body, which gets another piece only if it needs one: by itself it reads with
    /// every call as long as there is more, and keeps all of it in memory.
    async fn parse<T>(
        &self,
        mut parse: impl FnMut(&mut Context<'_>) -> Poll<multer::Result<T>>,
    ) -> multer::Result<T> {
        poll_fn(|context| {
            loop {
                self.passing().is_wanted = false;
                let mut polled = parse(context);
                if polled.is_pending() {
                    self.passing().want()?;
                    polled = parse(context);
                }
                let mut passing = self.passing();
                if polled.is_ready() {
                    passing.overhead = 0;
                    return polled;
                }
                if passing.is_wanted {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    pub(super) fn hash(&self) -> Option<[u8; 32]> {
        self.passing().hash.take().map(Sha256::finish)
    }
}

impl Passing {
    /// Lets the next piece be taken.
    fn want(&mut self) -> multer::Result<()> {
        if self.overhead > MAX_OVERHEAD {
            return Err(multer::Error::StreamReadFailed(TooMuchOverhead.into()));
        }
        self.is_wanted = true;
        Ok(())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        if !self.is_wanted {
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match self.bytes.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(bytes))) => self.rest = bytes,
                other => {
                    self.is_wanted = other.is_pending();
                    return other;
                }
            }
        }
        let piece = self.rest.split_to(PIECE.min(self.rest.len()));
        if let Some(hash) = &mut self.hash {
            hash.update(&piece);
        }
        self.is_wanted = false;
        self.overhead += piece.len();
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_than_a_piece_is_read_at_once_however_fast_it_comes() {
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
        assert_eq!((size, largest), (5_000_000, PIECE));
    }

    #[tokio::test]
    async fn small_parts_that_come_at_once_are_read_one_by_one() {
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
    async fn nothing_is_read_beyond_what_multer_needs() {
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
        let left = body.passing().bytes.size_hint().0;
        assert!(left >= 85, "{left} of 100 pieces are left");
    }
}
