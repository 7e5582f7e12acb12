//! API keys: random, and recognizable by scanners for leaked secrets.
//!
//! A key is `plk_`, 40 random characters of base62 (238 bits) and six characters with the CRC-32 of
//! all before them, so that a scanner recognizes a key without a request. The expression for
//! scanners: `\bplk_[0-9A-Za-z]{46}\b`.

use std::fmt;

use super::{random, sha256};

const PREFIX: &str = "plk_";
const RANDOM_CHARS: usize = 40;
const CHECKSUM_CHARS: usize = 6;
const HINT_CHARS: usize = 4;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The text of an API key.
#[derive(Clone)]
pub struct ApiKeyToken(String);

impl ApiKeyToken {
    pub fn generate() -> Self {
        let mut text = PREFIX.to_owned();
        while text.len() < PREFIX.len() + RANDOM_CHARS {
            let [byte] = random();
            // 248 is four times 62. Higher bytes would make some characters more likely than
            // others.
            if byte < 248 {
                text.push(char::from(BASE62[usize::from(byte) % BASE62.len()]));
            }
        }
        let checksum = checksum(&text);
        Self(text + &checksum)
    }

    /// Parses a presented key. Returns `None` if the text was never a key, so that no look-up is
    /// needed.
    pub fn parse(text: &str) -> Option<Self> {
        let (random, sum) = text.strip_prefix(PREFIX)?.split_at_checked(RANDOM_CHARS)?;
        let is_base62 = random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let start = &text[..PREFIX.len() + RANDOM_CHARS];
        (is_base62 && sum == checksum(start)).then(|| Self(text.to_owned()))
    }

    /// Returns whether the text has the form of an API key, valid or not.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Returns the hash that is stored. A plain hash is enough, because 238 random bits cannot be
    /// guessed.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }

    /// Returns the text, which the owner gets once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the beginning, by which the owner recognizes the key in a list: `plk_AbCd…`.
    pub fn hint(&self) -> String {
        format!("{}…", &self.0[..PREFIX.len() + HINT_CHARS])
    }
}

/// Returns the CRC-32 (IEEE 802.3) in base62, most significant digit first.
fn checksum(text: &str) -> String {
    let mut rest = u64::from(crc32fast::hash(text.as_bytes()));
    let mut digits = ['0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = char::from(BASE62[usize::try_from(rest % 62).expect("the remainder is below 62")]);
        rest /= 62;
    }
    digits.iter().collect()
}

impl fmt::Debug for ApiKeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_round_trip_and_show_only_their_hint() {
        let key = ApiKeyToken::generate();
        let text = key.reveal();
        let read = ApiKeyToken::parse(text).expect("its own text");
        assert_eq!(read.hash(), key.hash());
        assert_ne!(ApiKeyToken::generate().hash(), key.hash());
        assert_eq!(key.hint(), format!("{}…", &text[..8]));
        assert_eq!(format!("{key:?}"), "ApiKeyToken(…)");
    }

    #[test]
    fn a_key_has_the_form_that_scanners_look_for() {
        let key = ApiKeyToken::generate();
        let (prefix, rest) = key.reveal().split_at(4);
        assert_eq!((prefix, rest.len()), ("plk_", 46));
        assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(ApiKeyToken::looks_like(key.reveal()) && !ApiKeyToken::looks_like("eyJhbGciOi"));
    }

    // The checksums were computed by Python's zlib.
    #[test]
    fn the_checksum_is_the_crc_of_all_before_it() {
        for text in [
            "plk_00000000000000000000000000000000000000001PlR6W",
            "plk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd4XLatp",
            "plk_sdqhW6U4LjVWAM9bSnXi84fG8wch28v7jBtG08bo00vzRR",
        ] {
            assert!(ApiKeyToken::parse(text).is_some(), "{text} was rejected");
        }
    }

    #[test]
    fn every_character_occurs_about_equally_often() {
        let drawn: String = (0..100)
            .map(|_| ApiKeyToken::generate().0[4..44].to_owned())
            .collect();
        for char in BASE62 {
            let count = drawn.bytes().filter(|byte| byte == char).count();
            // The expected count is 64 of 4,000; these bounds are eight standard deviations away.
            assert!(
                (10..130).contains(&count),
                "{} occurs {count} times",
                char::from(*char)
            );
        }
    }

    proptest! {
        #[test]
        fn one_changed_character_is_always_detected(place in 0usize..50, char in "[ -~]") {
            let key = ApiKeyToken::generate();
            let mut changed = key.reveal().to_owned();
            prop_assume!(changed[place..=place] != char);
            changed.replace_range(place..=place, &char);
            prop_assert!(ApiKeyToken::parse(&changed).is_none());
        }

        #[test]
        fn two_swapped_characters_and_a_truncation_are_detected(place in 4usize..49, length in 0usize..50) {
            let key = ApiKeyToken::generate();
            prop_assert!(ApiKeyToken::parse(&key.reveal()[..length]).is_none());
            let mut swapped = key.reveal().as_bytes().to_vec();
            prop_assume!(swapped[place] != swapped[place + 1]);
            swapped.swap(place, place + 1);
            prop_assert!(ApiKeyToken::parse(&String::from_utf8(swapped).expect("ASCII")).is_none());
        }

        #[test]
        fn parsing_any_text_never_panics(text in "(plk_)?.{0,60}") {
            prop_assert!(ApiKeyToken::parse(&text).is_none());
        }
    }
}
