//! A part on its way to S3: plaintext with a gap for the tag behind every chunk, so that it is sealed where it lies.

use bytes::Bytes;
use plinth_platform::crypto::{CHUNK_BYTES, ChunkCipher, ChunkPosition, TAG_BYTES};

use super::transfers::{Room, RoomSize, Transfer};
use crate::{Error, Result};

/// Chunks of one part: S3 takes 10,000 parts of at least 5 MiB.
pub(in crate::files) const PART_CHUNKS: u32 = 128;

/// Bytes of plaintext in a part.
pub(in crate::files) const PART: usize = PART_CHUNKS as usize * CHUNK_BYTES;

/// Bytes of a part as S3 gets it.
pub(super) const SEALED_PART: usize = PART_CHUNKS as usize * SEALED_CHUNK;

pub(super) const SEALED_CHUNK: usize = CHUNK_BYTES + TAG_BYTES;

/// Seals a whole content that is in memory.
pub(in crate::files) fn seal_whole(chunks: &ChunkCipher, mut bytes: Bytes) -> Bytes {
    let mut sealed = Vec::with_capacity(bytes.len() + (bytes.len() / CHUNK_BYTES + 1) * TAG_BYTES);
    let mut first = 0;
    loop {
        let mut part = PartBuffer::default();
        part.fill(&mut bytes);
        let is_last = bytes.is_empty();
        sealed.extend_from_slice(&part.seal(chunks, 1, first, is_last));
        if is_last {
            return sealed.into();
        }
        first += PART_CHUNKS;
    }
}

/// A part that fills.
#[derive(Default)]
pub(in crate::files) struct PartBuffer {
    memory: Room,
    plain: usize,
}

impl PartBuffer {
    /// Bytes of plaintext in it.
    pub(in crate::files) fn len(&self) -> usize {
        self.plain
    }

    pub(in crate::files) fn is_full(&self) -> bool {
        self.plain == PART
    }

    /// Gets room for these bytes more, as far as a part holds them; waits while others have it.
    ///
    /// # Errors
    /// [`crate::Error::Busy`] if others keep it.
    pub(in crate::files) async fn make_room(
        &mut self,
        transfer: &Transfer,
        more: usize,
    ) -> Result<()> {
        let chunks = PART.min(self.plain + more).div_ceil(CHUNK_BYTES);
        if RoomSize::of_chunks(chunks) <= self.memory.size {
            return Ok(());
        }
        self.memory.keep();
        let mut room = transfer.room(chunks).await?;
        room.bytes.extend_from_slice(&self.memory.bytes);
        self.memory = room;
        Ok(())
    }

    /// Takes it away, full or at the end of the content, and leaves an empty one.
    pub(in crate::files) fn take(&mut self) -> Self {
        let taken = std::mem::take(self);
        taken.memory.keep();
        taken
    }

    /// Ends when its memory is to be given up for uploads that are faster; with the error to end its upload with.
    pub(in crate::files) fn preempted(&self) -> impl Future<Output = Error> + Send + use<> {
        self.memory.preempted()
    }

    /// Counts what came of the client.
    ///
    /// # Errors
    /// [`crate::Error::Busy`] if its memory is to be given up for uploads that are faster.
    pub(in crate::files) fn count(&self, bytes: usize) -> Result<()> {
        self.memory.count(bytes)
    }

    /// Takes of the bytes as many as fit.
    pub(in crate::files) fn fill(&mut self, bytes: &mut Bytes) {
        while !bytes.is_empty() && !self.is_full() {
            let in_chunk = self.plain % CHUNK_BYTES;
            if in_chunk == 0 && self.plain > 0 {
                self.memory.bytes.extend_from_slice(&[0; TAG_BYTES]);
            }
            let some = bytes.split_to((CHUNK_BYTES - in_chunk).min(bytes.len()));
            self.memory.bytes.extend_from_slice(&some);
            self.plain += some.len();
        }
    }

    /// The plaintext, chunk by chunk.
    pub(in crate::files) fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let chunks = self.memory.bytes.chunks(SEALED_CHUNK);
        chunks.map(|chunk| &chunk[..chunk.len().min(CHUNK_BYTES)])
    }

    /// Seals its chunks, of which the first has this index in the content; `is_last` where the content ends with it.
    pub(in crate::files) fn seal(
        mut self,
        chunks: &ChunkCipher,
        segment: u32,
        first: u32,
        is_last: bool,
    ) -> Bytes {
        self.memory.bytes.extend_from_slice(&[0; TAG_BYTES]);
        let count = self.memory.bytes.len().div_ceil(SEALED_CHUNK);
        for (number, chunk) in self.memory.bytes.chunks_mut(SEALED_CHUNK).enumerate() {
            let index = first + u32::try_from(number).expect("a part has 128 chunks");
            let (text, tag) = chunk.split_at_mut(chunk.len() - TAG_BYTES);
            let place = ChunkPosition {
                segment,
                index,
                is_last: is_last && number + 1 == count,
            };
            tag.copy_from_slice(&chunks.seal(place, text));
        }
        Bytes::from_owner(self.memory)
    }
}

#[cfg(test)]
mod tests {
    use plinth_platform::crypto::{DataKey, sealed_size};
    use proptest::prelude::*;

    use super::*;

    fn opened(chunks: &ChunkCipher, first: u32, is_last: bool, sealed: &[u8]) -> Vec<u8> {
        let count = sealed.len().div_ceil(SEALED_CHUNK);
        let mut text = Vec::new();
        for (number, chunk) in sealed.chunks(SEALED_CHUNK).enumerate() {
            let mut chunk = chunk.to_vec();
            let index = first + u32::try_from(number).expect("few");
            let place = ChunkPosition {
                segment: 3,
                index,
                is_last: is_last && number + 1 == count,
            };
            let length = chunks.open(place, &mut chunk).expect("opens");
            text.extend_from_slice(&chunk[..length]);
        }
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_fills_a_part_comes_out_of_it(
            pieces in proptest::collection::vec(0..150_000_usize, 0..6), is_last: bool, first in 0..1_000_u32,
        ) {
            let chunks = ChunkCipher::new(&DataKey::generate(), [7; 16]);
            let text: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|n| u8::try_from(n % 251).expect("a byte")).collect();
            let mut part = PartBuffer::default();
            let mut rest = Bytes::from(text.clone());
            for piece in pieces {
                part.fill(&mut rest.split_to(piece));
            }
            prop_assert_eq!(part.len(), text.len());
            prop_assert_eq!(part.chunks().collect::<Vec<_>>().concat(), text.clone());
            let sealed = part.seal(&chunks, 3, first, is_last);
            prop_assert_eq!(sealed.len() as u64, sealed_size(text.len() as u64));
            prop_assert!(opened(&chunks, first, is_last, &sealed) == text);
        }
    }

    #[test]
    fn a_full_part_takes_no_more() {
        let mut part = PartBuffer::default();
        let mut bytes = Bytes::from(vec![1; PART + 5]);
        part.fill(&mut bytes);
        assert_eq!((part.is_full(), bytes.len()), (true, 5));
        let chunks = ChunkCipher::new(&DataKey::generate(), [7; 16]);
        assert_eq!(part.seal(&chunks, 1, 0, false).len(), SEALED_PART);
    }
}
