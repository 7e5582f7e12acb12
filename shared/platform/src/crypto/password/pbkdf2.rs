//! PBKDF2 (RFC 8018) over HMAC: the PHC form `i=310000,l=32`, and passlib's form with the
//! iterations alone.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use aws_lc_rs::pbkdf2::{
    self, Algorithm, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512,
};

use super::fields::{HASH_BYTES, SALT_BYTES, base64, decimal, numbers, split};

const ITERATIONS: RangeInclusive<u32> = 1_000..=10_000_000;

/// A stored PBKDF2 hash.
pub struct Pbkdf2Hash {
    algorithm: Algorithm,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Pbkdf2Hash {
    /// Parses the part after the name, which selects the hash function: `pbkdf2` alone is passlib's
    /// SHA-1.
    pub(super) fn parse(name: &str, rest: &str) -> Option<Self> {
        let algorithm = match name {
            "pbkdf2" => PBKDF2_HMAC_SHA1,
            "pbkdf2-sha256" => PBKDF2_HMAC_SHA256,
            "pbkdf2-sha512" => PBKDF2_HMAC_SHA512,
            _ => return None,
        };
        let [costs, salt, hash] = split(rest)?;
        let hash = base64(hash, &HASH_BYTES)?;
        let (iterations, length) = if let Some([iterations, length]) = numbers(costs, ["i", "l"]) {
            (iterations, usize::try_from(length).ok()?)
        } else if let Some([iterations]) = numbers(costs, ["i"]) {
            (iterations, hash.len())
        } else {
            (decimal(costs)?, hash.len())
        };
        if !ITERATIONS.contains(&iterations) || length != hash.len() {
            return None;
        }
        let salt = base64(salt, &SALT_BYTES)?;
        Some(Self {
            algorithm,
            iterations: NonZeroU32::new(iterations)?,
            salt,
            hash,
        })
    }

    /// Returns a dummy hash with the same cost that matches no password.
    pub(super) fn dummy(&self) -> Self {
        Self {
            algorithm: self.algorithm,
            iterations: self.iterations,
            salt: vec![0; 16],
            hash: vec![0; self.hash.len()],
        }
    }

    pub(super) fn has_same_cost(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm
            && self.iterations == other.iterations
            && self.hash.len() == other.hash.len()
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        pbkdf2::verify(
            self.algorithm,
            self.iterations,
            &self.salt,
            password,
            &self.hash,
        )
        .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::stored::tests::{assert_rejected, assert_verifies};

    // Computed by passlib 1.7.4 and Python's hashlib.
    #[test]
    fn every_form_and_function_verifies() {
        for (hash, password) in [
            (
                "$pbkdf2$1000$dg6BsNaak7IWAkCo9Z5T6g$Vd8POrbnzwHthfBG/YMgdsj7TbY",
                "correct horse battery staple",
            ),
            (
                "$pbkdf2-sha256$1000$e09pjTGmVCoFoDQmxBijtA$CKC/3.n1n62YOisSl0ivlLTbFM/WFBk6SaAQg0Sx2Zg",
                "correct horse battery staple",
            ),
            (
                "$pbkdf2-sha512$1000$2Ptfa82ZU2otxfg/B8AYAw$I2KgP/GWFkgPaTidqUV.PmScJF/Ex21E/qSHL5SxnsUqug7QUXHGEm02AvDuH6Hw9dKYc5hQ0SYF2ftg.HceYA",
                "Grüße, Jürgen 🐎",
            ),
            (
                "$pbkdf2-sha256$i=1500,l=32$YSBzYWx0IG9mIGhhc2hsaWI$9sg5VWJtYknQkliTDzNfNN6JdmcIFHB0pkdK8WGtOdQ",
                "Grüße, Jürgen 🐎",
            ),
            (
                "$pbkdf2-sha256$i=1500,l=20$YSBzYWx0IG9mIGhhc2hsaWI$TUUOVNk3xiTa8bjsSuZCAAqTWAA",
                "correct horse battery staple",
            ),
            (
                "$pbkdf2-sha512$i=1500$YSBzYWx0IG9mIGhhc2hsaWI$SQYGyUgx6Kg+FjNWP4//9JgBdGffEiYTci1YAI9uwX0",
                "correct horse battery staple",
            ),
        ] {
            assert_verifies(hash, password);
        }
    }

    #[test]
    fn costs_outside_the_bounds_are_rejected() {
        const END: &str = "$YSBzYWx0IG9mIGhhc2hsaWI$TUUOVNk3xiTa8bjsSuZCAAqTWABP66ShctSAG2hJtZE";
        for costs in [
            "999",
            "10000001",
            "4294967296",
            "0",
            "01500",
            "-1500",
            "i=999,l=32",
            "i=10000001,l=32",
            "i=1500,l=31",
            "i=1500,l=64",
            "l=32,i=1500",
            "",
        ] {
            assert_rejected(&format!("$pbkdf2-sha256${costs}{END}"));
        }
        assert_rejected(&format!("$pbkdf2-md5$1500{END}"));
        assert_rejected("$pbkdf2-sha256$1500$YSBzYWx0IG9mIGhhc2hsaWI$AAAA");
        assert_rejected("$pbkdf2-sha256$1500$$TUUOVNk3xiTa8bjsSuZCAAqTWABP66ShctSAG2hJtZE");
    }
}
