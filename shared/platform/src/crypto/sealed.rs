//! Encryption of stored secrets that must be read again, e.g. those of TOTP: AES-256-GCM (NIST SP
//! 800-38D).

use std::fmt;

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::zeroize::Zeroizing;

/// First byte of everything sealed, so that a later format can use another one.
const FORMAT_VERSION: u8 = 1;

/// Encrypts and decrypts with one key.
///
/// Nonces are random, so a key seals at most 2^32 secrets (SP 800-38D, section 8.3), far more than
/// accounts have.
#[derive(Clone)]
pub struct Sealer(Arc<RandomizedNonceKey>);

impl Sealer {
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Arc::new(
            RandomizedNonceKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes"),
        ))
    }

    /// Returns version, nonce, ciphertext and tag. It opens only with the same context, which names
    /// the kind and the owner of the secret, e.g. `totp:<user id>`: a row's secret is useless in
    /// another row.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Vec<u8> {
        let mut text = plaintext.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(aad(context), &mut text)
            .expect("a secret is shorter than 64 GiB");
        let mut sealed = vec![FORMAT_VERSION];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        sealed
    }

    /// Seals a secret with this key that was sealed with `previous` in this context.
    pub fn reseal(&self, previous: &Self, context: &str, sealed: &[u8]) -> Resealing {
        if self.open(context, sealed).is_some() {
            return Resealing::Current;
        }
        previous
            .open(context, sealed)
            .map_or(Resealing::Unreadable, |secret| {
                Resealing::Resealed(self.seal(context, &secret))
            })
    }

    /// Decrypts what was sealed in this context with this key, and returns `None` for anything
    /// else. The plaintext is zeroized when dropped.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed
            .strip_prefix(&[FORMAT_VERSION])?
            .split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .0
            .open_in_place(nonce, aad(context), &mut text)
            .ok()?
            .len();
        text.truncate(length);
        Some(text)
    }
}

/// The result of sealing a secret again after a change of keys.
#[derive(Debug, PartialEq, Eq)]
pub enum Resealing {
    /// The secret is already sealed with the current key.
    Current,
    /// The secret was sealed with the previous key; contains the new sealed form.
    Resealed(Vec<u8>),
    /// Neither key decrypts the secret.
    Unreadable,
}

fn aad(context: &str) -> Aad<Vec<u8>> {
    Aad::from([&[FORMAT_VERSION], context.as_bytes()].concat())
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sealing_twice_gives_different_results() {
        let sealer = Sealer::new(&[7; 32]);
        assert_ne!(
            sealer.seal("totp:1", b"secret"),
            sealer.seal("totp:1", b"secret")
        );
    }

    #[test]
    fn a_secret_of_the_previous_key_is_resealed_once() {
        let (previous, now) = (Sealer::new(&[7; 32]), Sealer::new(&[8; 32]));
        let Resealing::Resealed(resealed) =
            now.reseal(&previous, "totp:1", &previous.seal("totp:1", b"secret"))
        else {
            panic!("the secret was not resealed");
        };
        assert_eq!(
            now.open("totp:1", &resealed).expect("opens").as_slice(),
            b"secret"
        );
        assert_eq!(
            now.reseal(&previous, "totp:1", &resealed),
            Resealing::Current
        );
        assert_eq!(
            now.reseal(&previous, "totp:2", &resealed),
            Resealing::Unreadable
        );
        assert_eq!(
            previous.reseal(&previous, "totp:1", &resealed),
            Resealing::Unreadable
        );
    }

    #[test]
    fn a_secret_sealed_by_another_implementation_opens() {
        // Made by Python's cryptography: nonce 0..12, key of sevens, additional data "\x01totp:1".
        let sealed = [
            0x01, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x6b,
            0xe4, 0x8a, 0x02, 0x78, 0x7d, 0xd3, 0xcb, 0x2e, 0x48, 0x0d, 0x9c, 0xc2, 0xab, 0x48,
            0xe4, 0xc6, 0x60, 0xa2, 0xe4, 0xb1, 0xe2,
        ];
        let opened = Sealer::new(&[7; 32])
            .open("totp:1", &sealed)
            .expect("opens");
        assert_eq!(opened.as_slice(), b"secret");
    }

    proptest! {
        #[test]
        fn a_secret_opens_only_in_its_context_with_its_key(
            key: [u8; 32], other_key: [u8; 32], context in ".{0,40}", other in ".{0,40}", plaintext: Vec<u8>,
        ) {
            prop_assume!(key != other_key && context != other);
            let sealer = Sealer::new(&key);
            let sealed = sealer.seal(&context, &plaintext);
            let opened = sealer.open(&context, &sealed);
            prop_assert_eq!(opened.as_deref(), Some(&plaintext));
            prop_assert!(sealer.open(&other, &sealed).is_none());
            prop_assert!(Sealer::new(&other_key).open(&context, &sealed).is_none());
        }

        #[test]
        fn a_changed_or_truncated_secret_does_not_open(
            plaintext: Vec<u8>, place: prop::sample::Index, bit in 0..8u32, length: prop::sample::Index,
        ) {
            let sealer = Sealer::new(&[7; 32]);
            let sealed = sealer.seal("totp:1", &plaintext);
            let mut flipped = sealed.clone();
            flipped[place.index(sealed.len())] ^= 1u8 << bit;
            prop_assert!(sealer.open("totp:1", &flipped).is_none());
            prop_assert!(sealer.open("totp:1", &sealed[..length.index(sealed.len())]).is_none());
            prop_assert!(sealer.open("totp:1", &[sealed, vec![0]].concat()).is_none());
        }

        #[test]
        fn opening_any_bytes_never_panics(bytes: Vec<u8>) {
            prop_assert!(Sealer::new(&[7; 32]).open("totp:1", &bytes).is_none());
        }
    }
}
