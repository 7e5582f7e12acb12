//! A stored hash, told by its first field.

use std::fmt;

use super::HashFailure;
use super::argon2::{Argon2Hash, Function, Memory};
use super::bcrypt::BcryptHash;
use super::crypt::{PhpassHash, ShaCryptHash};
use super::firebase::FirebaseHash;
use super::pbkdf2::Pbkdf2Hash;
use super::scrypt::ScryptHash;

/// No form that is read is longer.
const MAX_BYTES: usize = 384;

/// A password hash that was read, and whose costs are within the bounds of its scheme.
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
    /// Reads a hash in PHC or modular-crypt form: argon2id, argon2i, argon2d, bcrypt, scrypt, PBKDF2, SHA-crypt, phpass,
    /// and what [`Self::import`] makes of those of Django and Firebase.
    ///
    /// Anything else, and what would cost too much, is [`HashFailure::Unreadable`].
    pub fn parse(text: &str) -> Result<Self, HashFailure> {
        Self::read(text).ok_or(HashFailure::Unreadable)
    }

    /// The same for a hash of another system, which must not take longer to check than some seconds.
    pub fn parse_foreign(text: &str) -> Result<Self, HashFailure> {
        let stored = Self::parse(text)?;
        if stored.is_affordable() {
            Ok(stored)
        } else {
            Err(HashFailure::Unreadable)
        }
    }

    /// What the text of a hash begins with that says what it costs.
    pub fn costs_of(text: &str) -> &str {
        // bcrypt, crypt(3)'s scrypt and phpass have the salt behind it without a border.
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
            // One number says what these cost.
            Self::Bcrypt(_) | Self::Pbkdf2(_) | Self::ShaCrypt(_) | Self::Phpass(_) => true,
        }
    }

    /// One that costs the same, and is no password's.
    pub(super) fn blank(&self) -> Self {
        match self {
            Self::Argon2(hash) => Self::Argon2(hash.blank()),
            Self::Bcrypt(hash) => Self::Bcrypt(hash.blank()),
            Self::Scrypt(hash) => Self::Scrypt(hash.blank()),
            Self::Pbkdf2(hash) => Self::Pbkdf2(hash.blank()),
            Self::ShaCrypt(hash) => Self::ShaCrypt(hash.blank()),
            Self::Phpass(hash) => Self::Phpass(hash.blank()),
            Self::Firebase(hash) => Self::Firebase(hash.blank()),
        }
    }

    pub(super) fn costs_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Argon2(one), Self::Argon2(other)) => one.costs_as(other),
            (Self::Bcrypt(one), Self::Bcrypt(other)) => one.costs_as(other),
            (Self::Scrypt(one), Self::Scrypt(other)) => one.costs_as(other),
            (Self::Pbkdf2(one), Self::Pbkdf2(other)) => one.costs_as(other),
            (Self::ShaCrypt(one), Self::ShaCrypt(other)) => one.costs_as(other),
            (Self::Phpass(one), Self::Phpass(other)) => one.costs_as(other),
            (Self::Firebase(one), Self::Firebase(other)) => one.costs_as(other),
            _ => false,
        }
    }

    /// Whether a hash that is made by this function now would cost the same.
    pub(super) fn costs_as_of(&self, function: &Function) -> bool {
        matches!(self, Self::Argon2(hash) if hash.costs_as_of(function))
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (name, rest) = text.strip_prefix('$')?.split_once('$')?;
        match name {
            "argon2id" | "argon2i" | "argon2d" => Argon2Hash::parse(name, rest).map(Self::Argon2),
            "2a" | "2b" | "2y" => BcryptHash::parse(rest).map(Self::Bcrypt),
            "django-bcrypt-sha256" => BcryptHash::parse_of_digest(rest).map(Self::Bcrypt),
            "5" | "6" => ShaCryptHash::parse(name, rest).map(Self::ShaCrypt),
            "P" | "H" => PhpassHash::parse(rest).map(Self::Phpass),
            "firebase-scrypt" => FirebaseHash::parse(rest).map(Self::Firebase),
            "scrypt" => ScryptHash::parse_phc(rest).map(Self::Scrypt),
            "7" => ScryptHash::parse_crypt(rest).map(Self::Scrypt),
            _ => Pbkdf2Hash::parse(name, rest).map(Self::Pbkdf2),
        }
    }

    /// Whether it is this password's; the hashes are compared in constant time.
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

    /// Whether it was made as this function makes them.
    pub(super) fn is_of(&self, function: &Function) -> bool {
        matches!(self, Self::Argon2(hash) if hash.is_of(function))
    }
}

/// Only the scheme is shown.
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
        let stored = StoredHash::parse(hash).unwrap_or_else(|_| panic!("{hash} was refused"));
        stored
            .matches(password.as_bytes(), &mut Memory::default())
            .expect("computes")
    }

    /// The right password does, and one that differs in its first or last byte does not.
    pub(in super::super) fn verifies(hash: &str, password: &str) {
        assert!(matches(hash, password), "{hash} refuses its password");
        assert!(
            !matches(hash, &format!("{password}x")) || password.len() > 72,
            "{hash} takes a longer one"
        );
        assert!(
            !matches(hash, &format!("X{}", &password[1..])),
            "{hash} takes another one"
        );
        assert!(!matches(hash, ""), "{hash} takes none");
    }

    pub(in super::super) fn refuses(hash: &str) {
        let refused = StoredHash::parse(hash);
        assert!(
            matches!(refused, Err(HashFailure::Unreadable)),
            "{hash} was read"
        );
    }

    #[test]
    fn what_another_system_made_is_bounded_as_a_whole() {
        let of =
            |costs: &str| StoredHash::parse_foreign(&format!("${costs}${SALT}${HASH}")).is_ok();
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
            assert!(of(affordable), "{affordable}");
            assert!(!of(costly), "{costly}");
            assert!(
                StoredHash::parse(&format!("${costly}${SALT}${HASH}")).is_ok(),
                "{costly} is read"
            );
        }
    }

    #[test]
    fn what_says_the_costs_is_what_a_hash_begins_with() {
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
            assert_eq!(StoredHash::costs_of(hash), costs);
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
        fn reading_any_text_never_panics(text in ".{0,300}") {
            prop_assert!(StoredHash::parse(&text).is_err());
        }

        #[test]
        fn reading_what_resembles_a_hash_never_panics(
            name in "argon2(id|i|d)|2[abxy]|scrypt|[567PH]|pbkdf2(-sha(256|512))?|django-bcrypt-sha256|firebase-scrypt",
            rest in "(\\$(v=)?[0-9]{1,2})?(\\$([a-z]{1,2}=[0-9]{0,11},?){0,4})?(\\$[./+A-Za-z0-9=$ü]{0,90}){0,3}",
        ) {
            let _ = StoredHash::parse(&format!("${name}{rest}"));
        }

        #[test]
        fn argon2_is_read_within_its_bounds_only(m in number(), t in number(), p in number()) {
            let read = StoredHash::parse(&format!("$argon2id$v=19$m={m},t={t},p={p}${SALT}${HASH}"));
            let affordable = m <= 1 << 20 && (1..=64).contains(&t) && (1..=16).contains(&p);
            prop_assert_eq!(read.is_ok(), affordable && m >= 8 * p);
        }

        #[test]
        fn scrypt_is_read_within_its_bounds_only(ln in number(), r in number(), p in number()) {
            let read = StoredHash::parse(&format!("$scrypt$ln={ln},r={r},p={p}${SALT}${HASH}"));
            let memory = 2f64.powf(f64::from(ln)) * f64::from(r) * 128.0;
            let affordable = memory <= 2f64.powi(30) && r <= 64 && p <= 16;
            prop_assert_eq!(read.is_ok(), affordable && ln > 0 && r > 0 && p > 0);
        }

        #[test]
        fn crypts_scrypt_is_read_within_the_same_bounds(ln in 0u32..64, r in number(), p in number()) {
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
        fn pbkdf2_is_read_within_its_bounds_only(iterations in number()) {
            let affordable = (1_000..=10_000_000).contains(&iterations);
            for costs in [format!("{iterations}"), format!("i={iterations},l=16")] {
                let read = StoredHash::parse(&format!("$pbkdf2-sha512${costs}${SALT}${HASH}"));
                prop_assert_eq!(read.is_ok(), affordable);
            }
        }
    }
}
