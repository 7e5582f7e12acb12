//! Cryptography: keys derived from one root, opaque tokens, password hashes.
//!
//! Primitives come from aws-lc-rs and RustCrypto's argon2; nothing here invents one.

mod key;
mod password;
mod token;

pub use key::{RootKey, RootKeyError};
pub use password::{HashFailure, PasswordHasher};
pub use token::OpaqueToken;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// Fresh random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
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
        self.0.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}
