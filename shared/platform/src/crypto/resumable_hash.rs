//! SHA-256 whose state can be saved and resumed, even by another process.

use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};

/// SHA-256 (FIPS 180-4) over bytes that arrive in pieces, perhaps days apart.
#[derive(Clone, Default)]
pub struct ResumableSha256(sha2::Sha256);

impl ResumableSha256 {
    /// Restores a state from [`Self::save`]. Returns `None` if the bytes are not a state.
    pub fn restore(state: &[u8]) -> Option<Self> {
        let state: &SerializedState<sha2::Sha256> = state.try_into().ok()?;
        sha2::Sha256::deserialize(state).ok().map(Self)
    }

    /// Returns the state. It contains up to 63 of the hashed bytes.
    pub fn save(&self) -> Vec<u8> {
        self.0.serialize().to_vec()
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::sha256;

    proptest! {
        #[test]
        fn a_restored_state_continues_the_hash(text: Vec<u8>, at: prop::sample::Index) {
            let at = at.index(text.len() + 1);
            let mut first = ResumableSha256::default();
            first.update(&text[..at]);
            let mut second = ResumableSha256::restore(&first.save()).expect("a state");
            second.update(&text[at..]);
            prop_assert_eq!(second.finish(), sha256(&text));
        }

        #[test]
        fn other_bytes_are_not_a_state(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(ResumableSha256::restore(&bytes).is_none());
        }
    }
}
