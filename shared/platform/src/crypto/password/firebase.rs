//! Firebase Authentication's modification of scrypt (<https://github.com/firebase/scrypt>): scrypt
//! derives a key, and the hash is the project's signer key encrypted by AES-256-CTR with that key.
//!
//! Only the key stream is stored here, so that no row contains the signer key of the original
//! project.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD_NO_PAD;
use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use subtle::ConstantTimeEq as _;

use super::fields::{HASH_BYTES, SALT_BYTES, base64, split};
use super::import::decode;
use super::scrypt::{Cost, cost};

/// A stored hash.
pub struct FirebaseHash {
    cost: Cost,
    /// Ends with the project's salt separator.
    salt: Vec<u8>,
    key_stream: Vec<u8>,
}

/// The hash parameters of a Firebase project.
#[derive(Clone)]
pub struct FirebaseParameters {
    pub(super) signer_key: Vec<u8>,
    pub(super) salt_separator: Vec<u8>,
    pub(super) rounds: u32,
    pub(super) mem_cost: u32,
}

impl FirebaseParameters {
    /// Parses the parameters as Firebase's console shows them: the key and the separator are
    /// base64.
    pub fn parse(
        signer_key: &str,
        salt_separator: &str,
        rounds: u32,
        mem_cost: u32,
    ) -> Option<Self> {
        Some(Self {
            signer_key: decode(signer_key)?,
            salt_separator: decode(salt_separator)?,
            rounds,
            mem_cost,
        })
    }

    /// Converts a hash of this project to its stored form. Returns `None` if its length does not
    /// match the signer key.
    pub(super) fn to_stored(&self, salt: &[u8], hash: &[u8]) -> Option<String> {
        if hash.len() != self.signer_key.len() {
            return None;
        }
        let salt = [salt, &self.salt_separator].concat();
        let key_stream: Vec<u8> = hash
            .iter()
            .zip(&self.signer_key)
            .map(|(hash, key)| hash ^ key)
            .collect();
        let (salt, key_stream) = (
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(key_stream),
        );
        Some(format!(
            "$firebase-scrypt$ln={},r={},p=1${salt}${key_stream}",
            self.mem_cost, self.rounds
        ))
    }
}

impl FirebaseHash {
    /// Parses the part after `$firebase-scrypt$`.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let [costs, salt, key_stream] = split(rest)?;
        let (salt, key_stream) = (base64(salt, &SALT_BYTES)?, base64(key_stream, &HASH_BYTES)?);
        Some(Self {
            cost: cost(costs)?,
            salt,
            key_stream,
        })
    }

    pub(super) fn is_affordable(&self) -> bool {
        self.cost.is_affordable()
    }

    /// Returns a dummy hash with the same cost that matches no password.
    pub(super) fn dummy(&self) -> Self {
        Self {
            cost: self.cost,
            salt: vec![0; 16],
            key_stream: vec![0; self.key_stream.len()],
        }
    }

    pub(super) fn has_same_cost(&self, other: &Self) -> bool {
        self.cost == other.cost
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut key = [0; 32];
        self.cost.compute(password, &self.salt, &mut key);
        let mut actual = vec![0; self.key_stream.len()];
        let key = UnboundCipherKey::new(&AES_256, &key).expect("AES-256 has a key of 32 bytes");
        let key = EncryptingKey::ctr(key).expect("AES-256 has a counter mode");
        let context = EncryptionContext::Iv128(FixedLength::from([0; 16]));
        key.less_safe_encrypt(&mut actual, context)
            .expect("a counter mode encrypts any length");
        actual.ct_eq(&self.key_stream).into()
    }
}
