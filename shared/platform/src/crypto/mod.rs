//! Cryptography: keys derived from one root key, opaque tokens, password hashes.
//!
//! Primitives come from aws-lc-rs and, for passwords, from RustCrypto and bcrypt. None is
//! implemented here.

mod api_key;
mod chunked;
mod key;
mod key_service;
mod password;
mod resumable_hash;
mod sealed;
mod signed;
mod token;

pub use api_key::ApiKeyToken;
pub use chunked::{
    CHUNK_BYTES, ChunkCipher, ChunkPosition, DataKey, TAG_BYTES, chunk_count, sealed_size,
};
pub use key::{RootKey, RootKeyError};
pub use key_service::{DERIVED_KEY, KeyFailure, KeyService, LocalKeyService, WrappedKey};
pub use password::{
    FirebaseParameters, HashFailure, KeycloakCredential, MAX_ITERATIONS, MAX_LANES, MAX_MEMORY_KIB,
    PasswordHasher, StoredHash, StoredPassword, Verified,
};
pub use resumable_hash::ResumableSha256;
pub use sealed::{Resealing, Sealer};
pub use signed::Signer;
pub use token::OpaqueToken;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// Returns random bytes from the operating system's generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system provides randomness");
    bytes
}

/// Returns a globally unique name of 32 hexadecimal digits, without the cost of random bytes: a
/// random number of the process, and a counter mixed with it. It is not secret.
pub fn unique_name() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| u64::from_ne_bytes(random()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // splitmix64's finalizer (Steele, Lea, Flood 2014) is a bijection, so that no two counts
    // collide.
    let mut mixed = (count ^ *PROCESS).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    format!("{:016x}{:016x}", *PROCESS, mixed ^ (mixed >> 31))
}

/// Returns the SHA-256 hash (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Returns the bytes as pairs of lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("four bits are one digit");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// SHA-256 over bytes that arrive in pieces.
pub struct Sha256(aws_lc_rs::digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }
}

impl Sha256 {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> [u8; 32] {
        self.0
            .finish()
            .as_ref()
            .try_into()
            .expect("SHA-256 has 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_writes_each_byte_as_two_digits() {
        assert_eq!(hex(&[0, 15, 16, 255]), "000f10ff");
    }

    #[test]
    fn no_two_unique_names_are_equal() {
        let mut names: Vec<String> = (0..10_000).map(|_| unique_name()).collect();
        assert!(names.iter().all(|name| name.len() == 32));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 10_000);
    }
}
