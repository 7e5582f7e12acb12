//! Signed values that a client stores and cannot change: HMAC-SHA256 (RFC 2104).

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const TAG_BYTES: usize = 32;
/// The longest signed text. A longer one is rejected without decoding.
const MAX_CHARS: usize = 512;

/// Signs and verifies with one key.
#[derive(Clone)]
pub struct Signer(hmac::Key);

impl Signer {
    /// The longest payload, in bytes.
    pub const MAX_PAYLOAD: usize = MAX_CHARS / 4 * 3 - TAG_BYTES;

    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, key))
    }

    /// Returns payload and tag in base64url. The payload is not secret. It verifies only in the
    /// same context, which names its purpose.
    ///
    /// # Panics
    ///
    /// Panics if the payload is longer than [`Self::MAX_PAYLOAD`], because it could not be
    /// verified.
    pub fn sign(&self, context: &str, payload: &[u8]) -> String {
        assert!(
            payload.len() <= Self::MAX_PAYLOAD,
            "a payload of {} bytes is too long",
            payload.len()
        );
        URL_SAFE_NO_PAD.encode([payload, self.compute_tag(context, payload).as_ref()].concat())
    }

    /// Returns the payload if the text was signed in this context with this key.
    pub fn verify(&self, context: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > MAX_CHARS {
            return None;
        }
        let mut payload = URL_SAFE_NO_PAD.decode(text).ok()?;
        let tag = payload.split_off(payload.len().checked_sub(TAG_BYTES)?);
        self.verify_tag(context, &payload, &tag).then_some(payload)
    }

    /// Returns the tag alone, for a payload that is stored elsewhere.
    pub fn tag(&self, context: &str, payload: &[u8]) -> [u8; TAG_BYTES] {
        self.compute_tag(context, payload)
            .as_ref()
            .try_into()
            .expect("HMAC-SHA256 has 32 bytes")
    }

    /// Returns whether the tag belongs to this payload in this context. Compares in constant time.
    pub fn verify_tag(&self, context: &str, payload: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, &message(context, payload), tag).is_ok()
    }

    fn compute_tag(&self, context: &str, payload: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, &message(context, payload))
    }
}

/// Returns length of the context, context and payload. The length comes first, so that a context
/// cannot extend into a payload.
fn message(context: &str, payload: &[u8]) -> Vec<u8> {
    [
        &(context.len() as u64).to_be_bytes(),
        context.as_bytes(),
        payload,
    ]
    .concat()
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Computed by Python's hmac.
    #[test]
    fn a_tag_is_the_hmac_of_length_context_and_payload() {
        let signer = Signer::new(&[7; 32]);
        let text = "cGF5bG9hZK9KKAHRqUkImMjQo7FGnAsepZElA6-e2I-hkpckALnI";
        assert_eq!(signer.sign("device", b"payload"), text);
        assert_eq!(
            signer.verify("device", text).as_deref(),
            Some(b"payload".as_slice())
        );
    }

    #[test]
    fn the_boundary_between_context_and_payload_cannot_be_moved() {
        let signer = Signer::new(&[7; 32]);
        assert_ne!(signer.tag("ab", b"c"), signer.tag("a", b"bc"));
        assert_ne!(signer.tag("", b"abc"), signer.tag("abc", b""));
    }

    #[test]
    fn only_the_canonical_encoding_within_the_length_limit_verifies() {
        let signer = Signer::new(&[7; 32]);
        let longest = signer.sign("device", &[0; Signer::MAX_PAYLOAD]);
        assert_eq!(longest.len(), MAX_CHARS);
        assert!(signer.verify("device", &longest).is_some());
        // 33 bytes fill 44 characters; with 34 bytes the last character has four spare bits.
        let text = signer.sign("device", &[0; 2]);
        let with_last_char = |last| format!("{}{last}", &text[..text.len() - 1]);
        let alphabet = ('A'..='Z')
            .chain('a'..='z')
            .chain('0'..='9')
            .chain(['-', '_']);
        assert_eq!(
            alphabet
                .filter(|last| signer.verify("device", &with_last_char(*last)).is_some())
                .count(),
            1
        );
        for bad in [
            "",
            "x",
            &format!("{text}=="),
            &format!(" {text}"),
            &"A".repeat(MAX_CHARS + 1),
        ] {
            assert!(
                signer.verify("device", bad).is_none(),
                "{bad:?} was accepted"
            );
        }
    }

    proptest! {
        #[test]
        fn a_signed_payload_verifies_only_in_its_context_with_its_key(
            key: [u8; 32], other_key: [u8; 32], context in ".{0,40}", other in ".{0,40}",
            payload in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            prop_assume!(key != other_key && context != other);
            let signer = Signer::new(&key);
            let text = signer.sign(&context, &payload);
            prop_assert_eq!(signer.verify(&context, &text), Some(payload));
            prop_assert!(signer.verify(&other, &text).is_none());
            prop_assert!(Signer::new(&other_key).verify(&context, &text).is_none());
        }

        #[test]
        fn a_changed_or_truncated_text_is_rejected(
            payload in prop::collection::vec(any::<u8>(), 0..100),
            place: prop::sample::Index, char in "[0-9A-Za-z_-]", length: prop::sample::Index,
        ) {
            let signer = Signer::new(&[7; 32]);
            let text = signer.sign("device", &payload);
            prop_assert!(signer.verify("device", &text[..length.index(text.len())]).is_none());
            let place = place.index(text.len());
            prop_assume!(text[place..=place] != char);
            let mut changed = text;
            changed.replace_range(place..=place, &char);
            prop_assert!(signer.verify("device", &changed).is_none());
        }

        #[test]
        fn a_tag_verifies_only_its_payload(payload: Vec<u8>, other: Vec<u8>) {
            let signer = Signer::new(&[7; 32]);
            let tag = signer.tag("device", &payload);
            prop_assert!(signer.verify_tag("device", &payload, &tag));
            prop_assert_eq!(signer.verify_tag("device", &other, &tag), payload == other);
            prop_assert!(!signer.verify_tag("device", &payload, &tag[..31]));
        }

        #[test]
        fn verifying_any_text_never_panics(text in ".{0,600}") {
            prop_assert!(Signer::new(&[7; 32]).verify("device", &text).is_none());
        }
    }
}
