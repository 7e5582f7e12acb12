//! Opaque tokens: random to whoever sees one, hashed wherever one is kept.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{random, sha256};

/// A bearer secret of 256 bits in base64url.
#[derive(Clone)]
pub struct OpaqueToken([u8; 32]);

impl OpaqueToken {
    pub fn generate() -> Self {
        Self(random())
    }

    /// Reads a presented token; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        // 43 characters are 32 bytes; anything longer is not worth decoding.
        (text.len() == 43)
            .then(|| URL_SAFE_NO_PAD.decode(text).ok())??
            .try_into()
            .ok()
            .map(Self)
    }

    /// The token that follows this one: who holds this one and the key can compute it again, nobody else.
    #[must_use]
    pub fn successor(&self, key: &[u8; 32]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &self.0);
        Self(tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes"))
    }

    /// What is kept of it. A plain hash is enough: 256 random bits cannot be guessed.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.0)
    }

    /// The text that its bearer gets.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for OpaqueToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_their_successors_are_fixed() {
        let token = OpaqueToken::generate();
        let read = OpaqueToken::parse(&token.reveal()).expect("its own text");
        assert_eq!(read.hash(), token.hash());
        assert_eq!(
            token.successor(&[1; 32]).hash(),
            token.successor(&[1; 32]).hash()
        );
        assert_ne!(
            token.successor(&[1; 32]).hash(),
            token.successor(&[2; 32]).hash()
        );
        for bad in ["", "x", &"!".repeat(43), &"A".repeat(44)] {
            assert!(OpaqueToken::parse(bad).is_none());
        }
    }
}
