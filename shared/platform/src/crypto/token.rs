//! Opaque tokens: random for the client, stored only as a hash.

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

    /// Parses a presented token. Returns `None` if the text cannot be a token.
    pub fn parse(text: &str) -> Option<Self> {
        // 32 bytes are 43 characters. A longer text is rejected without decoding.
        (text.len() == 43)
            .then(|| URL_SAFE_NO_PAD.decode(text).ok())??
            .try_into()
            .ok()
            .map(Self)
    }

    /// Returns the token that succeeds this one. Only the holder of this token and of the key can
    /// compute it.
    #[must_use]
    pub fn successor(&self, key: &[u8; 32]) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &self.0);
        Self(tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes"))
    }

    /// Returns the hash that is stored. A plain hash is enough, because 256 random bits cannot be
    /// guessed.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.0)
    }

    /// Returns the text, which the bearer gets.
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
    fn tokens_round_trip_and_successors_are_deterministic() {
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
