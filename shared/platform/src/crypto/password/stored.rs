//! A stored hash, whose first field selects the scheme.

use std::fmt;

use super::HashFailure;
use super::argon2::{Argon2Config, Argon2Hash, Memory};
use super::bcrypt::BcryptHash;
use super::crypt::{PhpassHash, ShaCryptHash};
use super::firebase::FirebaseHash;
use super::pbkdf2::Pbkdf2Hash;
use super::scrypt::ScryptHash;

/// Maximum length of a stored hash; no supported form is longer.
const MAX_BYTES: usize = 384;

/// A parsed password hash whose cost is within the limits of its scheme.
pub enum StoredHash {
    Argon2(Argon2Hash),
    Bcrypt(BcryptHash),
    Scrypt(ScryptHash),
    Pbkdf2(Pbkdf2Hash),
    ShaCrypt(ShaCryptHash),
    Phpass(PhpassHash),
    Firebase(FirebaseHash),
}

impl StoredHash {
    /// Parses a hash in PHC or modular-crypt form: argon2id, argon2i, argon2d, bcrypt, scrypt,
    /// PBKDF2, SHA-crypt, phpass, and the stored forms of Django's and Firebase's hashes (see
    /// [`Self::import`]).
    ///
    /// # Errors
    ///
    /// [`HashFailure::Unreadable`] for any other text, and for a hash that costs too much.
    pub fn parse(text: &str) -> Result<Self, HashFailure> {
        Self::read(text).ok_or(HashFailure::Unreadable)
    }

    /// Parses an imported hash like [`Self::parse`], and rejects one that takes more than some
    /// seconds to check.
    pub fn parse_imported(text: &str) -> Result<Self, HashFailure> {
        let stored = Self::parse(text)?;
        if stored.is_affordable() {
            Ok(stored)
        } else {
            Err(HashFailure::Unreadable)
        }
    }

    /// Returns the prefix of a hash that determines its cost.
    pub fn cost_prefix(text: &str) -> &str {
        // bcrypt, crypt(3)'s scrypt and phpass have no separator before the salt.
        let django = "$django-bcrypt-sha256$";
        let fixed = [
            ("$2", "$2b$12$".len()),
            (django, django.len() + "2b$12$".len()),
            ("$7$", "$7$".len() + 11),
            ("$P$", "$P$B".len()),
        ];
        if let Some((_, length)) = fixed.into_iter().find(|(start, _)| text.starts_with(start)) {
            return text.get(..length).unwrap_or(text);
        }
        let salt = text.rmatch_indices('$').nth(1);
        salt.map_or(text, |(at, _)| &text[..=at])
    }

    fn is_affordable(&self) -> bool {
        match self {
            Self::Argon2(hash) => hash.is_affordable(),
            Self::Scrypt(hash) => hash.is_affordable(),
            Self::Firebase(hash) => hash.is_affordable(),
            // These have a single cost parameter, which the parser limits.
            Self::Bcrypt(_) | Self::Pbkdf2(_) | Self::ShaCrypt(_) | Self::Phpass(_) => true,
        }
    }

    /// Returns a dummy hash with the same cost that matches no password.
    pub(super) fn dummy(&self) -> Self {
        match self {
            Self::Argon2(hash) => Self::Argon2(hash.dummy()),
            Self::Bcrypt(hash) => Self::Bcrypt(hash.dummy()),
            Self::Scrypt(hash) => Self::Scrypt(hash.dummy()),
            Self::Pbkdf2(hash) => Self::Pbkdf2(hash.dummy()),
            Self::ShaCrypt(hash) => Self::ShaCrypt(hash.dummy()),
            Self::Phpass(hash) => Self::Phpass(hash.dummy()),
            Self::Firebase(hash) => Self::Firebase(hash.dummy()),
        }
    }

    pub(super) fn has_same_cost(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Argon2(one), Self::Argon2(other)) => one.has_same_cost(other),
            (Self::Bcrypt(one), Self::Bcrypt(other)) => one.has_same_cost(other),
            (Self::Scrypt(one), Self::Scrypt(other)) => one.has_same_cost(other),
            (Self::Pbkdf2(one), Self::Pbkdf2(other)) => one.has_same_cost(other),
            (Self::ShaCrypt(one), Self::ShaCrypt(other)) => one.has_same_cost(other),
            (Self::Phpass(one), Self::Phpass(other)) => one.has_same_cost(other),
            (Self::Firebase(one), Self::Firebase(other)) => one.has_same_cost(other),
            _ => false,
        }
    }

    /// Returns whether hashes of this configuration have the same cost.
    pub(super) fn has_cost_of(&self, config: &Argon2Config) -> bool {
        matches!(self, Self::Argon2(hash) if hash.has_cost_of(config))
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (name, rest) = text.strip_prefix('$')?.split_once('$')?;
        match name {
            "argon2id" | "argon2i" | "argon2d" => Argon2Hash::parse(name, rest).map(Self::Argon2),
            "2a" | "2b" | "2y" => BcryptHash::parse(rest).map(Self::Bcrypt),
            "django-bcrypt-sha256" => BcryptHash::parse_django_sha256(rest).map(Self::Bcrypt),
            "5" | "6" => ShaCryptHash::parse(name, rest).map(Self::ShaCrypt),
            "P" | "H" => PhpassHash::parse(rest).map(Self::Phpass),
            "firebase-scrypt" => FirebaseHash::parse(rest).map(Self::Firebase),
            "scrypt" => ScryptHash::parse_phc(rest).map(Self::Scrypt),
            "7" => ScryptHash::parse_crypt(rest).map(Self::Scrypt),
            _ => Pbkdf2Hash::parse(name, rest).map(Self::Pbkdf2),
        }
    }

    /// Returns whether the hash matches the password. Compares in constant time.
    pub(super) fn matches(
        &self,
        password: &[u8],
        memory: &mut Memory,
    ) -> Result<bool, HashFailure> {
        match self {
            Self::Argon2(hash) => hash.matches(password, memory),
            Self::Bcrypt(hash) => Ok(hash.matches(password)),
            Self::Scrypt(hash) => Ok(hash.matches(password)),
            Self::Pbkdf2(hash) => Ok(hash.matches(password)),
            Self::ShaCrypt(hash) => Ok(hash.matches(password)),
            Self::Phpass(hash) => Ok(hash.matches(password)),
            Self::Firebase(hash) => Ok(hash.matches(password)),
        }
    }

    /// Returns whether the hash is up to date with this configuration.
    pub(super) fn is_current(&self, config: &Argon2Config) -> bool {
        matches!(self, Self::Argon2(hash) if hash.is_current(config))
    }
}

/// Shows only the scheme.
impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2(_) => "Argon2(…)",
            Self::Bcrypt(_) => "Bcrypt(…)",
            Self::Scrypt(_) => "Scrypt(…)",
            Self::Pbkdf2(_) => "Pbkdf2(…)",
            Self::ShaCrypt(_) => "ShaCrypt(…)",
            Self::Phpass(_) => "Phpass(…)",
            Self::Firebase(_) => "Firebase(…)",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn matches(hash: &str, password: &str) -> bool {
        let stored = StoredHash::parse(hash).unwrap_or_else(|_| panic!("{hash} was rejected"));
        stored
            .matches(password.as_bytes(), &mut Memory::default())
            .expect("computes")
    }

    /// Asserts that the hash matches the password, and neither a longer nor a changed nor an empty
    /// one.
    pub(in super::super) fn assert_verifies(hash: &str, password: &str) {
        assert!(
            matches(hash, password),
            "{hash} does not match its password"
        );
        assert!(
            !matches(hash, &format!("{password}x")) || password.len() > 72,
            "{hash} matches a longer password"
        );
        assert!(
            !matches(hash, &format!("X{}", &password[1..])),
            "{hash} matches another password"
        );
        assert!(!matches(hash, ""), "{hash} matches the empty password");
    }

    pub(in super::super) fn assert_rejected(hash: &str) {
        let parsed = StoredHash::parse(hash);
        assert!(
            matches!(parsed, Err(HashFailure::Unreadable)),
            "{hash} was accepted"
        );
    }

    #[test]
    fn an_imported_hash_has_a_limit_on_its_total_cost() {
        let is_accepted =
            |costs: &str| StoredHash::parse_imported(&format!("${costs}${SALT}${HASH}")).is_ok();
        for (affordable, costly) in [
            (
                "argon2id$v=19$m=1048576,t=4,p=4",
                "argon2id$v=19$m=1048576,t=5,p=4",
            ),
            (
                "argon2id$v=19$m=65536,t=64,p=1",
                "argon2id$v=19$m=66560,t=64,p=1",
            ),
            ("scrypt$ln=20,r=8,p=1", "scrypt$ln=20,r=8,p=2"),
            ("scrypt$ln=16,r=8,p=16", "scrypt$ln=17,r=8,p=16"),
        ] {
            assert!(is_accepted(affordable), "{affordable}");
            assert!(!is_accepted(costly), "{costly}");
            assert!(
                StoredHash::parse(&format!("${costly}${SALT}${HASH}")).is_ok(),
                "{costly} is accepted if not imported"
            );
        }
    }

    #[test]
    fn the_cost_prefix_ends_before_the_salt() {
        for (hash, costs) in [
            (
                "$argon2id$v=19$m=64,t=2,p=1$c2FsdA$aGFzaA",
                "$argon2id$v=19$m=64,t=2,p=1$",
            ),
            (
                "$2b$04$zfwZf5MicB9iwBPnl54DieMASobWrlYdKhOrwF4.uilm0raFkac3C",
                "$2b$04$",
            ),
            (
                "$scrypt$ln=4,r=8,p=1$c2FsdA$aGFzaA",
                "$scrypt$ln=4,r=8,p=1$",
            ),
            (
                "$7$26..../....ZywlZKyVkjJGCEEoxRgDwA$R27qKSmX8OKX",
                "$7$26..../....",
            ),
            ("$pbkdf2-sha256$1000$c2FsdA$aGFzaA", "$pbkdf2-sha256$1000$"),
            ("$6$rounds=5000$salt$hash", "$6$rounds=5000$"),
            ("$P$5saltsalt9hJCA5XQHb5HNaayqAQyz/", "$P$5"),
            (
                "$django-bcrypt-sha256$2b$04$zfwZf5MicB9iwBPnl54Die",
                "$django-bcrypt-sha256$2b$04$",
            ),
            (
                "$firebase-scrypt$ln=4,r=8,p=1$c2FsdA$aGFzaA",
                "$firebase-scrypt$ln=4,r=8,p=1$",
            ),
            ("$2b", "$2b"),
            ("none", "none"),
        ] {
            assert_eq!(StoredHash::cost_prefix(hash), costs);
        }
    }

    const SALT: &str = "c2l4dGVlbiBieXRlIHNsdA";
    const HASH: &str = "/MDeq41pQU+izSqnIVE7hQ";

    /// A number of any magnitude, often a small one.
    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![
            0u32..70,
            (any::<u32>(), 0u32..32).prop_map(|(number, shift)| number >> shift)
        ]
    }

    #[test]
    fn debug_shows_no_hash() {
        let stored = StoredHash::parse(&format!("$argon2id$v=19$m=64,t=1,p=1${SALT}${HASH}"))
            .expect("reads");
        assert_eq!(format!("{stored:?}"), "Argon2(…)");
    }

    proptest! {
        #[test]
        fn parsing_any_text_never_panics(text in ".{0,300}") {
            prop_assert!(StoredHash::parse(&text).is_err());
        }

        #[test]
        fn parsing_text_like_a_hash_never_panics(
            name in "argon2(id|i|d)|2[abxy]|scrypt|[567PH]|pbkdf2(-sha(256|512))?|django-bcrypt-sha256|firebase-scrypt",
            rest in "(\\$(v=)?[0-9]{1,2})?(\\$([a-z]{1,2}=[0-9]{0,11},?){0,4})?(\\$[./+A-Za-z0-9=$ü]{0,90}){0,3}",
        ) {
            let _ = StoredHash::parse(&format!("${name}{rest}"));
        }

        #[test]
        fn argon2_is_accepted_only_within_its_limits(m in number(), t in number(), p in number()) {
            let read = StoredHash::parse(&format!("$argon2id$v=19$m={m},t={t},p={p}${SALT}${HASH}"));
            let affordable = m <= 1 << 20 && (1..=64).contains(&t) && (1..=16).contains(&p);
            prop_assert_eq!(read.is_ok(), affordable && m >= 8 * p);
        }

        #[test]
        fn scrypt_is_accepted_only_within_its_limits(ln in number(), r in number(), p in number()) {
            let read = StoredHash::parse(&format!("$scrypt$ln={ln},r={r},p={p}${SALT}${HASH}"));
            let memory = 2f64.powf(f64::from(ln)) * f64::from(r) * 128.0;
            let affordable = memory <= 2f64.powi(30) && r <= 64 && p <= 16;
            prop_assert_eq!(read.is_ok(), affordable && ln > 0 && r > 0 && p > 0);
        }

        #[test]
        fn scrypt_of_crypt_has_the_same_limits(ln in 0u32..64, r in number(), p in number()) {
            let (r, p) = (r & 0x3fff_ffff, p & 0x3fff_ffff);
            let crypt = |number: u32, chars| -> String {
                let alphabet = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
                (0..chars).map(|char| char::from(alphabet[(number >> (6 * char)) as usize % 64])).collect()
            };
            let costs = format!("{}{}{}", crypt(ln, 1), crypt(r, 5), crypt(p, 5));
            let read = StoredHash::parse(&format!("$7${costs}saltsaltsalt${}", ".".repeat(43)));
            let phc = StoredHash::parse(&format!("$scrypt$ln={ln},r={r},p={p}${SALT}${HASH}"));
            prop_assert_eq!(read.is_ok(), phc.is_ok());
        }

        #[test]
        fn pbkdf2_is_accepted_only_within_its_limits(iterations in number()) {
            let affordable = (1_000..=10_000_000).contains(&iterations);
            for costs in [format!("{iterations}"), format!("i={iterations},l=16")] {
                let read = StoredHash::parse(&format!("$pbkdf2-sha512${costs}${SALT}${HASH}"));
                prop_assert_eq!(read.is_ok(), affordable);
            }
        }
    }
}
