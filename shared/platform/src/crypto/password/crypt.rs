//! Older schemes of crypt(3) and PHP: SHA-crypt (`$5$`, `$6$`) and phpass (`$P$`, `$H$`), in the
//! base64 of crypt(3).

use std::ops::RangeInclusive;

use md5::{Digest as _, Md5};
use sha_crypt::{Params, sha256_crypt, sha512_crypt};
use subtle::ConstantTimeEq as _;

use super::fields::{crypt_bytes, crypt_number, decimal};

/// Accepted rounds of SHA-crypt. The maximum takes some seconds.
const SHA_CRYPT_ROUNDS: RangeInclusive<u32> = 1_000..=5_000_000;
/// Rounds of a hash that does not state them.
const DEFAULT_ROUNDS: u32 = 5_000;
/// Maximum bytes of a salt of SHA-crypt.
const MAX_SALT_BYTES: usize = 16;
/// Accepted binary logarithm of the rounds of phpass. The maximum takes some seconds.
const PHPASS_LOG_ROUNDS: RangeInclusive<u32> = 7..=23;

/// Order in which crypt(3) writes the bytes of SHA-256 and SHA-512 (Drepper, "Unix crypt using
/// SHA-256 and SHA-512").
const SHA256_ORDER: [usize; 32] = [
    20, 10, 0, 11, 1, 21, 2, 22, 12, 23, 13, 3, 14, 4, 24, 5, 25, 15, 26, 16, 6, 17, 7, 27, 8, 28,
    18, 29, 19, 9, 30, 31,
];
const SHA512_ORDER: [usize; 64] = [
    42, 21, 0, 1, 43, 22, 23, 2, 44, 45, 24, 3, 4, 46, 25, 26, 5, 47, 48, 27, 6, 7, 49, 28, 29, 8,
    50, 51, 30, 9, 10, 52, 31, 32, 11, 53, 54, 33, 12, 13, 55, 34, 35, 14, 56, 57, 36, 15, 16, 58,
    37, 38, 17, 59, 60, 39, 18, 19, 61, 40, 41, 20, 62, 63,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sha {
    Sha256,
    Sha512,
}

/// A stored hash of SHA-crypt.
pub struct ShaCryptHash {
    sha: Sha,
    params: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl ShaCryptHash {
    /// Parses the part after the name: `rounds=5000$salt$hash`, or without the rounds.
    pub(super) fn parse(name: &str, rest: &str) -> Option<Self> {
        let (rounds, rest) = match rest.strip_prefix("rounds=") {
            Some(rest) => {
                let (rounds, rest) = rest.split_once('$')?;
                (decimal(rounds)?, rest)
            }
            None => (DEFAULT_ROUNDS, rest),
        };
        let (salt, hash) = rest.split_once('$')?;
        if !SHA_CRYPT_ROUNDS.contains(&rounds) || salt.is_empty() || salt.len() > MAX_SALT_BYTES {
            return None;
        }
        let permuted = crypt_bytes(hash.as_bytes())?;
        let (sha, order): (_, &[usize]) = match name {
            "5" => (Sha::Sha256, &SHA256_ORDER),
            "6" => (Sha::Sha512, &SHA512_ORDER),
            _ => return None,
        };
        if permuted.len() != order.len() {
            return None;
        }
        let mut hash = vec![0; order.len()];
        for (byte, place) in permuted.into_iter().zip(order) {
            hash[*place] = byte;
        }
        Some(Self {
            sha,
            params: Params::new(rounds).ok()?,
            salt: salt.as_bytes().to_vec(),
            hash,
        })
    }

    /// Returns a dummy hash with the same cost that matches no password.
    pub(super) fn dummy(&self) -> Self {
        Self {
            sha: self.sha,
            params: self.params,
            salt: vec![b'.'; 8],
            hash: vec![0; self.hash.len()],
        }
    }

    pub(super) fn has_same_cost(&self, other: &Self) -> bool {
        self.sha == other.sha && self.params == other.params
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self.sha {
            Sha::Sha256 => sha256_crypt(password, &self.salt, self.params)
                .ct_eq(&self.hash)
                .into(),
            Sha::Sha512 => sha512_crypt(password, &self.salt, self.params)
                .ct_eq(&self.hash)
                .into(),
        }
    }
}

/// A stored hash of phpass's portable scheme, which WordPress, phpBB and Drupal 6 used: iterated
/// MD5.
pub struct PhpassHash {
    log_rounds: u32,
    salt: [u8; 8],
    hash: Vec<u8>,
}

impl PhpassHash {
    /// Parses the part after `$P$` or `$H$`: one character of the rounds, eight of the salt, 22 of
    /// the hash.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let rest = rest.as_bytes();
        let log_rounds = crypt_number(rest.get(..1)?)?;
        let salt = rest.get(1..9)?.try_into().ok()?;
        let hash = crypt_bytes(rest.get(9..)?)?;
        (rest.len() == 31 && PHPASS_LOG_ROUNDS.contains(&log_rounds)).then_some(Self {
            log_rounds,
            salt,
            hash,
        })
    }

    /// Returns a dummy hash with the same cost that matches no password.
    pub(super) fn dummy(&self) -> Self {
        Self {
            log_rounds: self.log_rounds,
            salt: [b'.'; 8],
            hash: vec![0; 16],
        }
    }

    pub(super) fn has_same_cost(&self, other: &Self) -> bool {
        self.log_rounds == other.log_rounds
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut hash = Md5::new()
            .chain_update(self.salt)
            .chain_update(password)
            .finalize();
        for _ in 0..1u32 << self.log_rounds {
            hash = Md5::new()
                .chain_update(hash)
                .chain_update(password)
                .finalize();
        }
        hash.as_slice().ct_eq(&self.hash).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::stored::tests::{assert_rejected, assert_verifies};

    const ASCII: &str = "correct horse battery staple";
    const UNICODE: &str = "Grüße, Jürgen 🐎";

    // Computed by passlib 1.7.4.
    #[test]
    fn every_form_verifies() {
        for (hash, password) in [
            ("$P$5saltsalt9hJCA5XQHb5HNaayqAQyz/", ASCII),
            ("$H$5saltsalt9hJCA5XQHb5HNaayqAQyz/", ASCII),
            ("$P$5saltsaltdW0sXoE0xe8vJxvGKty/x.", UNICODE),
            (
                "$6$rounds=1000$saltstring$B.n1vD77SdB2TuXAE0nGKP536R1bUc6NvRMEtukg5fkv3SlfIs6RsCY18TxG6AWfmoa/S410tUwH1MRlKRQST0",
                ASCII,
            ),
            (
                "$6$saltstring$qvPJY4PeugKzKQqyIJ0gRdJnpS0uaaiZ.X1SaheFedsK/yZPwlluTLS90fJPM41sD5JxCHKgGr1..qt5HqEY8.",
                ASCII,
            ),
            (
                "$6$rounds=1000$saltstring$mRSmFjanKjjSBrLZtOth5mMs/Go3dA2.TwHW2pGvSDe7AuGAYNLfrvhJfMRkEvRNjgdFDGzYZ.iDNVIWImMsy1",
                UNICODE,
            ),
            (
                "$5$rounds=1000$saltstring$MGHTVAK1OdWrxoC7LJKeycAtdF/rZJH8EE46Glj/aT6",
                ASCII,
            ),
        ] {
            assert_verifies(hash, password);
        }
    }

    #[test]
    fn costly_and_malformed_crypt_hashes_are_rejected() {
        for hash in [
            "$P$4saltsalt9hJCA5XQHb5HNaayqAQyz/",
            "$P$WsaltsaltdW0sXoE0xe8vJxvGKty/x.",
            "$P$5saltsalt9hJCA5XQHb5HNaayqAQyz",
            "$P$5saltsalt9hJCA5XQHb5HNaayqAQyz//",
            "$P$5saltsalt9hJCA5XQHb5HNaayqAQy-/",
            "$P$",
            "$P$5salüsalt9hJCA5XQHb5HNaayqAQyz/",
            "$6$rounds=999$saltstring$qvPJY4PeugKzKQqyIJ0gRdJnpS0uaaiZ.X1SaheFedsK/yZPwlluTLS90fJPM41sD5JxCHKgGr1..qt5HqEY8.",
            "$6$rounds=5000001$saltstring$qvPJY4PeugKzKQqyIJ0gRdJnpS0uaaiZ.X1SaheFedsK/yZPwlluTLS90fJPM41sD5JxCHKgGr1..qt5HqEY8.",
            "$6$$qvPJY4PeugKzKQqyIJ0gRdJnpS0uaaiZ.X1SaheFedsK/yZPwlluTLS90fJPM41sD5JxCHKgGr1..qt5HqEY8.",
            "$6$saltstringsaltstring$qvPJY4PeugKzKQqyIJ0gRdJnpS0uaaiZ.X1SaheFedsK/yZPwlluTLS90fJPM41sD5JxCHKgGr1..qt5HqEY8.",
            "$6$saltstring$qvPJY4PeugKzKQqyIJ0gRdJnpS0uaaiZ",
            "$5$saltstring$qvPJY4PeugKzKQqyIJ0gRdJnpS0uaaiZ.X1SaheFedsK/yZPwlluTLS90fJPM41sD5JxCHKgGr1..qt5HqEY8.",
            "$6$saltstring",
        ] {
            assert_rejected(hash);
        }
    }
}
