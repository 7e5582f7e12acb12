//! Authenticated encryption in chunks, so that a range is decrypted without the rest: the STREAM
//! construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over AES-256-GCM.
//! docs/reference/encryption-format.md specifies the format byte by byte.
//!
//! Each content has its own key. Each writer first takes a new segment number, so that two writers
//! never use the same nonce, even if one of them was believed dead.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use secrecy::zeroize::Zeroizing;

use super::random;

/// Bytes of plaintext in every chunk except the last, which may have fewer.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes that encryption adds to a chunk.
pub const TAG_BYTES: usize = 16;

/// First byte of the additional data, so that a later format can use another one.
const FORMAT_VERSION: u8 = 1;

/// The key of one content. Zeroized when dropped.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    pub fn generate() -> Self {
        Self(Zeroizing::new(random()))
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Derives the key of data that is derived from the content (HKDF-Expand of RFC 5869). Another
    /// `info` gives an unrelated key.
    #[must_use]
    pub fn derive(&self, info: &[&[u8]]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        Prk::new_less_safe(HKDF_SHA256, self.expose())
            .expand(info, HKDF_SHA256)
            .and_then(|expanded| expanded.fill(&mut *key))
            .expect("HKDF-SHA256 gives 32 bytes");
        Self(key)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// A chunk's position in its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkPosition {
    /// The segment number of the writer.
    pub segment: u32,
    /// 0 for the first chunk of the content.
    pub index: u32,
    pub is_last: bool,
}

impl ChunkPosition {
    fn nonce(self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[3..7].copy_from_slice(&self.segment.to_be_bytes());
        nonce[7..11].copy_from_slice(&self.index.to_be_bytes());
        nonce[11] = u8::from(self.is_last);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Encrypts and decrypts the chunks of one content.
pub struct ChunkCipher {
    key: LessSafeKey,
    additional: [u8; 17],
}

impl ChunkCipher {
    /// Creates the cipher of the content with this id. Chunks of another content do not decrypt,
    /// even with the same key.
    pub fn new(key: &DataKey, content: [u8; 16]) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, key.expose()).expect("AES-256 takes 32 bytes");
        let mut additional = [FORMAT_VERSION; 17];
        additional[1..].copy_from_slice(&content);
        Self {
            key: LessSafeKey::new(unbound),
            additional,
        }
    }

    /// Encrypts a chunk in place and returns the tag, which is stored after it.
    pub fn seal(&self, place: ChunkPosition, chunk: &mut [u8]) -> [u8; TAG_BYTES] {
        debug_assert!(
            chunk.len() <= CHUNK_BYTES,
            "a chunk has at most {CHUNK_BYTES} bytes"
        );
        let tag =
            self.key
                .seal_in_place_separate_tag(place.nonce(), Aad::from(self.additional), chunk);
        tag.expect("a chunk is under 64 GiB")
            .as_ref()
            .try_into()
            .expect("GCM's tag has 16 bytes")
    }

    /// Decrypts a chunk with its tag in place, and returns the bytes of plaintext. Returns `None`
    /// if it is not what was sealed for this position.
    pub fn open(&self, place: ChunkPosition, sealed: &mut [u8]) -> Option<usize> {
        let opened = self
            .key
            .open_in_place(place.nonce(), Aad::from(self.additional), sealed)
            .ok()?;
        Some(opened.len())
    }
}

impl fmt::Debug for ChunkCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkCipher(…)")
    }
}

/// Returns the number of chunks of a content of `size` bytes. An empty content has one chunk, so
/// that it is authenticated too.
pub const fn chunk_count(size: u64) -> u64 {
    if size == 0 {
        1
    } else {
        size.div_ceil(CHUNK_BYTES as u64)
    }
}

/// Returns the bytes of a sealed content of `size` bytes of plaintext.
pub const fn sealed_size(size: u64) -> u64 {
    size + chunk_count(size) * TAG_BYTES as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTENT: [u8; 16] = *b"0123456789abcdef";

    fn place(segment: u32, index: u32, is_last: bool) -> ChunkPosition {
        ChunkPosition {
            segment,
            index,
            is_last,
        }
    }

    fn chunks(key: u8) -> ChunkCipher {
        ChunkCipher::new(&DataKey::from_bytes(&[key; 32]).expect("32 bytes"), CONTENT)
    }

    fn sealed(chunks: &ChunkCipher, place: ChunkPosition, plaintext: &[u8]) -> Vec<u8> {
        let mut text = plaintext.to_vec();
        let tag = chunks.seal(place, &mut text);
        text.extend_from_slice(&tag);
        text
    }

    fn opened(chunks: &ChunkCipher, place: ChunkPosition, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut text = sealed.to_vec();
        let length = chunks.open(place, &mut text)?;
        text.truncate(length);
        Some(text)
    }

    #[test]
    fn sealed_sizes_follow_the_format() {
        let chunk = CHUNK_BYTES as u64;
        for (size, expected) in [
            (0, 16),
            (1, 17),
            (chunk, chunk + 16),
            (chunk + 1, chunk + 33),
            (2 * chunk, 2 * chunk + 32),
        ] {
            assert_eq!(sealed_size(size), expected, "{size}");
        }
    }

    #[test]
    fn a_chunk_sealed_by_another_implementation_opens() {
        // Made by Python's cryptography: the third and last chunk of the first segment.
        let sealed = [
            0x18, 0x80, 0xa8, 0x5f, 0x62, 0x4d, 0xe7, 0x99, 0xe0, 0x6b, 0x20, 0xcb, 0x05, 0x42,
            0x71, 0x18, 0x0d, 0xd1, 0xc8, 0xea, 0x36, 0x14,
        ];
        assert_eq!(
            opened(&chunks(7), place(1, 2, true), &sealed).as_deref(),
            Some(&b"plinth"[..])
        );
    }

    proptest! {
        #[test]
        fn a_chunk_opens_only_at_its_position(
            text in proptest::collection::vec(any::<u8>(), 0..300), segment: u32, index: u32, is_last: bool,
            other_segment: u32, other_index: u32,
        ) {
            let here = place(segment, index, is_last);
            let sealed = sealed(&chunks(7), here, &text);
            prop_assert_eq!(opened(&chunks(7), here, &sealed), Some(text));
            prop_assert_eq!(opened(&chunks(7), place(segment, index, !is_last), &sealed), None, "truncated or continued");
            prop_assert_eq!(opened(&chunks(8), here, &sealed), None, "another key");
            if other_index != index {
                prop_assert_eq!(opened(&chunks(7), place(segment, other_index, is_last), &sealed), None, "moved");
            }
            if other_segment != segment {
                prop_assert_eq!(opened(&chunks(7), place(other_segment, index, is_last), &sealed), None);
            }
            let other_content = ChunkCipher::new(&DataKey::from_bytes(&[7; 32]).expect("32 bytes"), [0; 16]);
            prop_assert_eq!(opened(&other_content, here, &sealed), None, "another content");
        }

        #[test]
        fn a_changed_or_truncated_chunk_does_not_open(
            text in proptest::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, bit in 0..8u32,
            length: prop::sample::Index,
        ) {
            let here = place(1, 0, true);
            let mut changed = sealed(&chunks(7), here, &text);
            prop_assert_eq!(opened(&chunks(7), here, &changed[..length.index(changed.len())]), None);
            let at = at.index(changed.len());
            changed[at] ^= 1u8 << bit;
            prop_assert_eq!(opened(&chunks(7), here, &changed), None);
        }
    }
}
