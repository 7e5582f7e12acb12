//! Reading: a range of the plaintext from the chunks that hold it, each opened before a byte of it is given on.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use plinth_object_store::{ByteRange, ObjectError, ObjectStore};
use plinth_platform::crypto::{
    CHUNK_BYTES, ChunkCipher, ChunkPosition, TAG_BYTES, chunk_count, sealed_size,
};

use crate::files::sniff::{self, Detected};
use crate::{Error, Result};

/// The bytes as they come.
pub type Download = BoxStream<'static, Result<Bytes, BrokenContent>>;

/// Why the bytes of a content end before their end.
#[derive(Debug, thiserror::Error)]
pub enum BrokenContent {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("chunk {0} is not what was stored: it was changed, moved or cut")]
    Tampered(u32),
    #[error("the object ends in the middle of chunk {0}")]
    Cut(u32),
}

/// Where bytes are and how they are opened.
#[derive(Debug, Clone)]
pub(in crate::files) struct Source {
    pub(in crate::files) object_key: String,
    /// Bytes of plaintext.
    pub(in crate::files) size: u64,
    /// `None` for what is not sealed.
    pub(in crate::files) chunks: Option<Arc<ChunkCipher>>,
    /// The first chunk of each writer.
    pub(in crate::files) segments: Vec<u32>,
    /// Of the object that is meant, where another one could be in its place and would not be noticed.
    pub(in crate::files) etag: Option<String>,
}

/// Opens a range, or the whole. What is wrong with its beginning is told at once.
pub(in crate::files) async fn open(
    objects: &ObjectStore,
    source: Source,
    range: Option<ByteRange>,
) -> Result<Download, BrokenContent> {
    if source.size == 0 {
        return Ok(stream::empty().boxed());
    }
    let Some(chunks) = source.chunks else {
        let stream = objects
            .get_if_match(&source.object_key, range, source.etag.as_deref())
            .await?;
        return Ok(stream
            .map(|bytes| bytes.map_err(BrokenContent::from))
            .boxed());
    };
    let wanted = range.unwrap_or(ByteRange {
        first: 0,
        last: source.size - 1,
    });
    let sealed = sealed_range(wanted, source.size);
    let bytes = objects.get(&source.object_key, Some(sealed)).await?.boxed();
    let opening = Opening {
        bytes,
        chunks,
        segments: source.segments,
        size: source.size,
        wanted,
        next: index(wanted.first / CHUNK_BYTES as u64),
        sealed: BytesMut::with_capacity(CHUNK_BYTES + TAG_BYTES),
    };
    let mut opened = stream::unfold(Some(opening), next).boxed();
    match opened.next().await {
        Some(first) => Ok(stream::iter([Ok(first?)]).chain(opened).boxed()),
        None => Ok(opened),
    }
}

/// Detects the type by the first bytes.
pub(in crate::files) async fn detect(
    objects: &ObjectStore,
    source: Source,
) -> Result<Detected, BrokenContent> {
    let last = (sniff::ENOUGH as u64).min(source.size).saturating_sub(1);
    let beginning = open(objects, source, Some(ByteRange { first: 0, last })).await?;
    let beginning: Vec<Bytes> = beginning.try_collect().await?;
    Ok(sniff::detect(&beginning.concat()))
}

/// All of the bytes, in memory.
pub(in crate::files) async fn read(objects: &ObjectStore, source: Source) -> Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(usize::try_from(source.size).map_err(Error::internal)?);
    let mut stream = open(objects, source, None).await?;
    while let Some(some) = stream.try_next().await? {
        bytes.extend_from_slice(&some);
    }
    Ok(bytes.freeze())
}

/// Where in the sealed object the chunks are that hold a range of the plaintext.
fn sealed_range(wanted: ByteRange, size: u64) -> ByteRange {
    let (chunk, sealed) = (CHUNK_BYTES as u64, (CHUNK_BYTES + TAG_BYTES) as u64);
    let end = ((wanted.last / chunk + 1) * sealed).min(sealed_size(size));
    ByteRange {
        first: wanted.first / chunk * sealed,
        last: end - 1,
    }
}

fn index(chunk: u64) -> u32 {
    u32::try_from(chunk).expect("no content has 2^32 chunks, which is 256 TiB")
}

struct Opening {
    bytes: BoxStream<'static, Result<Bytes, ObjectError>>,
    chunks: Arc<ChunkCipher>,
    segments: Vec<u32>,
    size: u64,
    wanted: ByteRange,
    /// The chunk that comes next.
    next: u32,
    sealed: BytesMut,
}

async fn next(opening: Option<Opening>) -> Option<(Result<Bytes, BrokenContent>, Option<Opening>)> {
    let mut opening = opening?;
    match opening.chunk().await {
        Ok(Some(bytes)) => Some((Ok(bytes), Some(opening))),
        Ok(None) => None,
        // What follows a broken chunk is not looked at.
        Err(error) => Some((Err(error), None)),
    }
}

impl Opening {
    /// The wanted part of the next chunk; `None` at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, BrokenContent> {
        let (index, chunk) = (self.next, CHUNK_BYTES as u64);
        let begins = u64::from(index) * chunk;
        if begins > self.wanted.last {
            return Ok(None);
        }
        let is_last = u64::from(index) + 1 == chunk_count(self.size);
        let length = if is_last {
            usize::try_from(self.size - begins).unwrap_or(CHUNK_BYTES)
        } else {
            CHUNK_BYTES
        };
        while self.sealed.len() < length + TAG_BYTES {
            match self.bytes.next().await {
                Some(bytes) => self.sealed.extend_from_slice(&bytes?),
                None => return Err(BrokenContent::Cut(index)),
            }
        }
        let mut text = self.sealed.split_to(length + TAG_BYTES);
        let place = ChunkPosition {
            segment: segment(&self.segments, index),
            index,
            is_last,
        };
        let opened = self
            .chunks
            .open(place, &mut text)
            .ok_or(BrokenContent::Tampered(index))?;
        text.truncate(opened);
        self.next += 1;
        let within = |at: u64| usize::try_from(at.saturating_sub(begins)).unwrap_or(usize::MAX);
        let end = within(self.wanted.last).saturating_add(1).min(text.len());
        Ok(Some(text.freeze().slice(within(self.wanted.first)..end)))
    }
}

/// Which writer wrote a chunk: the last one that began at or before it. They count from 1.
fn segment(segments: &[u32], index: u32) -> u32 {
    u32::try_from(segments.partition_point(|first| *first <= index))
        .expect("there are fewer writers than chunks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_lies_in_the_chunks_that_hold_it() {
        let (chunk, sealed) = (CHUNK_BYTES as u64, (CHUNK_BYTES + TAG_BYTES) as u64);
        let size = 3 * chunk + 10;
        for ((first, last), expected) in [
            ((0, 0), (0, sealed - 1)),
            ((0, size - 1), (0, 3 * sealed + 25)),
            ((chunk - 1, chunk), (0, 2 * sealed - 1)),
            ((3 * chunk, 3 * chunk), (3 * sealed, 3 * sealed + 25)),
        ] {
            let found = sealed_range(ByteRange { first, last }, size);
            assert_eq!((found.first, found.last), expected, "{first}-{last}");
        }
    }

    #[test]
    fn a_chunk_is_of_the_writer_who_began_before_it() {
        assert_eq!(segment(&[0], 0), 1);
        assert_eq!(segment(&[0], 70_000), 1);
        // The second writer died before it wrote anything.
        let segments = [0, 128, 128, 256];
        assert_eq!(
            [0, 127, 128, 255, 256].map(|index| segment(&segments, index)),
            [1, 1, 3, 3, 4]
        );
    }
}
