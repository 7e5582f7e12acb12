//! bcrypt (Provos and Mazières, 1999) in modular-crypt form: 60 characters, `$2b$12$` and 22 + 31 of base64.
//!
//! `$2a$`, `$2b$` and `$2y$` are one function for what can be typed: they differ in how implementations
//! failed, none of them on UTF-8. `$2x$` marks hashes of one that failed on it (CVE-2011-2483), and is
//! refused as `$2$` is, whose hash left out the final zero: their owners need a new password.

use std::ops::RangeInclusive;

use ::base64::Engine as _;
use ::base64::alphabet;
use ::base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use subtle::ConstantTimeEq as _;

use crate::crypto::{hex, sha256};

/// The binary logarithm of the rounds.
const COSTS: RangeInclusive<u32> = 4..=16;
const SALT_CHARS: usize = 22;
const HASH_CHARS: usize = 31;
/// What bcrypt reads of a password.
const KEY_BYTES: usize = 72;

/// Some implementations left the salt's spare bits set.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    NO_PAD.with_decode_allow_trailing_bits(true),
);

/// One stored hash.
pub struct BcryptHash {
    /// Whether it is of the hexadecimal SHA-256 of the password, as Django's `bcrypt_sha256`.
    of_digest: bool,
    cost: u32,
    salt: [u8; 16],
    hash: [u8; 23],
}

impl BcryptHash {
    /// Reads what follows `$2b$`.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let (cost, encoded) = rest.split_once('$')?;
        let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = digits
            .then(|| cost.parse().ok())?
            .filter(|cost| COSTS.contains(cost))?;
        if encoded.len() != SALT_CHARS + HASH_CHARS {
            return None;
        }
        let (salt, hash) = encoded.split_at_checked(SALT_CHARS)?;
        Some(Self {
            of_digest: false,
            cost,
            salt: BASE64.decode(salt).ok()?.try_into().ok()?,
            hash: BASE64.decode(hash).ok()?.try_into().ok()?,
        })
    }

    /// Reads what follows `$django-bcrypt-sha256$`.
    pub(super) fn parse_of_digest(rest: &str) -> Option<Self> {
        Some(Self {
            of_digest: true,
            ..Self::parse(rest.strip_prefix("2b$")?)?
        })
    }

    /// One that costs the same, and is no password's.
    pub(super) fn blank(&self) -> Self {
        Self {
            of_digest: self.of_digest,
            cost: self.cost,
            salt: [0; 16],
            hash: [0; 23],
        }
    }

    pub(super) fn costs_as(&self, other: &Self) -> bool {
        self.cost == other.cost
    }

    /// A password over 72 bytes is cut there, and a shorter one ends in a zero, as it was when the hash was made.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let digest = self.of_digest.then(|| hex(&sha256(password)));
        let password = digest.as_deref().map_or(password, str::as_bytes);
        let length = password.len().min(KEY_BYTES);
        let mut key = [0; KEY_BYTES];
        key[..length].copy_from_slice(&password[..length]);
        let actual = ::bcrypt::bcrypt(self.cost, self.salt, &key[..(length + 1).min(KEY_BYTES)]);
        // The 24th byte was never stored.
        actual[..self.hash.len()].ct_eq(&self.hash).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::stored::tests::{matches, refuses, verifies};

    // Made by Python's bcrypt 5.0.
    #[test]
    fn every_sound_variant_verifies() {
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
            verifies(hash, password);
        }
    }

    #[test]
    fn spare_bits_of_the_salt_do_not_matter() {
        // The salt's last character is `e` = 32; `h` = 35 differs in the two spare bits alone.
        verifies(
            "$2b$04$zfwZf5MicB9iwBPnl54DihMASobWrlYdKhOrwF4.uilm0raFkac3C",
            "correct horse battery staple",
        );
    }

    // Made by libxcrypt 4.4.
    #[test]
    fn a_password_is_cut_where_the_original_cut_it() {
        let of_72 = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe";
        assert!(matches(of_72, &"a".repeat(72)));
        assert!(
            matches(of_72, &"a".repeat(73)),
            "the 73rd byte was never part of it"
        );
        assert!(!matches(of_72, &"a".repeat(71)));
        let within_a_character = "$2b$04$abcdefghijklmnopqrstuuBQHqZaO/dlDRZ.TvJ67we2MtFVZUvA2";
        verifies(within_a_character, &format!("{}ü", "x".repeat(71)));
    }

    #[test]
    fn what_costs_too_much_or_is_broken_is_refused() {
        const END: &str = "$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3C";
        for start in [
            "$2b$17", "$2b$31", "$2b$03", "$2b$4", "$2b$004", "$2b$+4", "$2x$04", "$2$04", "$2c$04",
        ] {
            refuses(&format!("{start}{END}"));
        }
        for hash in [
            "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3",
            "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3CC",
            "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac+C",
            "$2b$04$zfwZf5MicB9iwBPnl54DüMASobWrlYdKhOrwF4.uilm0raFkac3C",
        ] {
            refuses(hash);
        }
    }
}
