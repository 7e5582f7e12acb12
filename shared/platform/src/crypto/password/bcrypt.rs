//! bcrypt (Provos and Mazières, 1999) in modular-crypt form: 60 characters, `$2b$12$` and 22 + 31
//! of base64.
//!
//! `$2a$`, `$2b$` and `$2y$` are the same function for any typed password: they differ in bugs of
//! implementations, none of which concerns UTF-8. `$2x$` marks hashes of an implementation with a
//! bug in non-ASCII characters (CVE-2011-2483), and `$2$` omits the final zero. Both are rejected,
//! so their owners need a new password.

use std::ops::RangeInclusive;

use ::base64::Engine as _;
use ::base64::alphabet;
use ::base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use subtle::ConstantTimeEq as _;

use crate::crypto::{hex, sha256};

/// Binary logarithm of the rounds.
const COSTS: RangeInclusive<u32> = 4..=16;
const SALT_CHARS: usize = 22;
const HASH_CHARS: usize = 31;
/// Bytes of a password that bcrypt uses.
const KEY_BYTES: usize = 72;

/// Accepts set spare bits of the salt, which some implementations wrote.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    NO_PAD.with_decode_allow_trailing_bits(true),
);

/// A stored bcrypt hash.
pub struct BcryptHash {
    /// Whether the input is the hexadecimal SHA-256 of the password, as in Django's
    /// `bcrypt_sha256`.
    is_prehashed: bool,
    cost: u32,
    salt: [u8; 16],
    hash: [u8; 23],
}

impl BcryptHash {
    /// Parses the part after `$2b$`.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let (cost, encoded) = rest.split_once('$')?;
        let is_valid = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = is_valid
            .then(|| cost.parse().ok())?
            .filter(|cost| COSTS.contains(cost))?;
        if encoded.len() != SALT_CHARS + HASH_CHARS {
            return None;
        }
        let (salt, hash) = encoded.split_at_checked(SALT_CHARS)?;
        Some(Self {
            is_prehashed: false,
            cost,
            salt: BASE64.decode(salt).ok()?.try_into().ok()?,
            hash: BASE64.decode(hash).ok()?.try_into().ok()?,
        })
    }

    /// Parses the part after `$django-bcrypt-sha256$`.
    pub(super) fn parse_django_sha256(rest: &str) -> Option<Self> {
        Some(Self {
            is_prehashed: true,
            ..Self::parse(rest.strip_prefix("2b$")?)?
        })
    }

    /// Returns a dummy hash with the same cost that matches no password.
    pub(super) fn dummy(&self) -> Self {
        Self {
            is_prehashed: self.is_prehashed,
            cost: self.cost,
            salt: [0; 16],
            hash: [0; 23],
        }
    }

    pub(super) fn has_same_cost(&self, other: &Self) -> bool {
        self.cost == other.cost
    }

    /// Truncates a password at 72 bytes and ends a shorter one with a zero, as when the hash was
    /// made.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let digest = self.is_prehashed.then(|| hex(&sha256(password)));
        let password = digest.as_deref().map_or(password, str::as_bytes);
        let length = password.len().min(KEY_BYTES);
        let mut key = [0; KEY_BYTES];
        key[..length].copy_from_slice(&password[..length]);
        let actual = ::bcrypt::bcrypt(self.cost, self.salt, &key[..(length + 1).min(KEY_BYTES)]);
        // The format stores 23 of the 24 bytes.
        actual[..self.hash.len()].ct_eq(&self.hash).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::stored::tests::{assert_rejected, assert_verifies, matches};

    // Computed by Python's bcrypt 5.0.
    #[test]
    fn every_supported_variant_verifies() {
        for (hash, password) in [
            (
                "$2a$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3C",
                "correct horse battery staple",
            ),
            (
                "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3C",
                "correct horse battery staple",
            ),
            (
                "$2y$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3C",
                "correct horse battery staple",
            ),
            (
                "$2b$04$ebmeleKhjq50/63vydWL3eDJ0GScwVyXvnButlPKrndbo.6HJ7o1q",
                "Grüße, Jürgen 🐎",
            ),
        ] {
            assert_verifies(hash, password);
        }
    }

    #[test]
    fn spare_bits_of_the_salt_do_not_matter() {
        // The salt's last character is `e` = 32; `h` = 35 differs only in the two spare bits.
        assert_verifies(
            "$2b$04$zfwZf5MicB9iwBPnl54DihMASobWrlYdKhOrwF4.uilm0raFkac3C",
            "correct horse battery staple",
        );
    }

    // Computed by libxcrypt 4.4.
    #[test]
    fn a_password_is_truncated_at_72_bytes() {
        let of_72 = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe";
        assert!(matches(of_72, &"a".repeat(72)));
        assert!(matches(of_72, &"a".repeat(73)), "the 73rd byte is ignored");
        assert!(!matches(of_72, &"a".repeat(71)));
        let within_a_character = "$2b$04$abcdefghijklmnopqrstuuBQHqZaO/dlDRZ.TvJ67we2MtFVZUvA2";
        assert_verifies(within_a_character, &format!("{}ü", "x".repeat(71)));
    }

    #[test]
    fn costly_and_malformed_bcrypt_hashes_are_rejected() {
        const END: &str = "$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3C";
        for start in [
            "$2b$17", "$2b$31", "$2b$03", "$2b$4", "$2b$004", "$2b$+4", "$2x$04", "$2$04", "$2c$04",
        ] {
            assert_rejected(&format!("{start}{END}"));
        }
        for hash in [
            "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3",
            "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3CC",
            "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac+C",
            "$2b$04$zfwZf5MicB9iwBPnl54DüMASobWrlYdKhOrwF4.uilm0raFkac3C",
        ] {
            assert_rejected(hash);
        }
    }
}
