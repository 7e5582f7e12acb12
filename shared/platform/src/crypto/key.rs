//! The root key and the keys derived from it: one secret to keep, one key per purpose.

use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::random;
use crate::settings::Secret;

/// The reason why the configured secret is not a root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    #[error("expected base64; `plinth-api keys generate` prints a key")]
    Encoding,
    #[error(
        "PLINTH_SECRET_KEY has {0} bytes; at least 32 are needed (`plinth-api keys generate` prints one)"
    )]
    Short(usize),
}

/// The secret from which every other key is derived (HKDF-SHA256, RFC 5869).
pub struct RootKey(Prk);

impl RootKey {
    pub fn parse(secret: &Secret) -> Result<Self, RootKeyError> {
        let bytes = STANDARD
            .decode(secret.expose().trim())
            .map_err(|_| RootKeyError::Encoding)?;
        if bytes.len() < 32 {
            return Err(RootKeyError::Short(bytes.len()));
        }
        Ok(Self(
            Salt::new(HKDF_SHA256, b"plinth root key v1").extract(&bytes),
        ))
    }

    /// Returns a new random root key in the form that the setting expects.
    pub fn generate() -> String {
        STANDARD.encode(random::<32>())
    }

    /// Derives the key for one purpose. Keys for different purposes are unrelated.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let info = [purpose.as_bytes()];
        let mut key = [0; 32];
        self.0
            .expand(&info, HKDF_SHA256)
            .and_then(|expanded| expanded.fill(&mut key))
            .expect("HKDF-SHA256 gives 32 bytes");
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_own_constant_key() {
        let secret = Secret::new(RootKey::generate());
        let (first, second) = (
            RootKey::parse(&secret).expect("a valid key"),
            RootKey::parse(&secret).expect("a valid key"),
        );
        assert_eq!(first.derive("a"), second.derive("a"));
        assert_ne!(first.derive("a"), first.derive("b"));
        assert!(RootKey::parse(&Secret::new("c2hvcnQ=")).is_err());
        assert!(RootKey::parse(&Secret::new("not base64!")).is_err());
    }
}
