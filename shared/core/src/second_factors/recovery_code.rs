//! Recovery codes: for whoever has lost his second factor, each good once.

use plinth_domain::id::UserId;
use plinth_domain::one_time_code::is_separator;
use plinth_platform::crypto::{random, sha256};

/// How many are given out at once.
pub(super) const CODES: usize = 10;
/// 24 characters of five bits: 120 bits, so that a plain hash of it is enough (ASVS 6.5.2).
const CHARS: usize = 24;
const GROUP: usize = 6;
/// Crockford's: no I, L, O, U, which are taken for others or make words.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code; whoever shows it is its bearer.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RecoveryCode([u8; CHARS]);

impl RecoveryCode {
    pub(super) fn generate() -> Self {
        let bytes: [u8; CHARS] = random();
        // 256 is a multiple of 32: each character is as likely as any other.
        Self(bytes.map(|byte| ALPHABET[usize::from(byte % 32)]))
    }

    /// Reads what somebody types: in any case, with or without dashes, with the letters that are taken for digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let typed = text.chars().filter(|c| !is_separator(*c)).take(CHARS + 1);
        let read = typed.map(|c| match c.to_ascii_uppercase() {
            'O' => Some(b'0'),
            'I' | 'L' => Some(b'1'),
            c => u8::try_from(c).ok().filter(|byte| ALPHABET.contains(byte)),
        });
        read.collect::<Option<Vec<u8>>>()?.try_into().ok().map(Self)
    }

    /// What is kept of it, for this user and nobody else.
    pub(super) fn hash(&self, user: UserId) -> [u8; 32] {
        sha256(&[&user.0.as_bytes()[..], &self.0].concat())
    }

    /// In groups, for writing down.
    pub(super) fn reveal(&self) -> String {
        let groups = self
            .0
            .chunks(GROUP)
            .map(|group| group.iter().map(|byte| char::from(*byte)).collect());
        groups.collect::<Vec<String>>().join("-")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = RecoveryCode::generate();
        let text = code.reveal();
        assert_eq!((text.len(), text.matches('-').count()), (27, 3));
        for typed in [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', ""),
            text.replace('-', " "),
        ] {
            assert!(RecoveryCode::parse(&typed) == Some(code.clone()), "{typed}");
        }
        assert!(
            RecoveryCode::parse(&text.replace('0', "o").replace('1', "l")) == Some(code.clone())
        );
        let (ada, bob) = (
            UserId(uuid::Uuid::from_u128(1)),
            UserId(uuid::Uuid::from_u128(2)),
        );
        assert_ne!(code.hash(ada), code.hash(bob));
        for bad in [
            &text[1..],
            &format!("{text}A"),
            "",
            "UUUUUU-UUUUUU-UUUUUU-UUUUUU",
        ] {
            assert!(RecoveryCode::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,100}") {
            let _ = RecoveryCode::parse(&text);
        }
    }
}
