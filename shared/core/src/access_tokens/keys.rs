//! The keys that sign and check access tokens: Ed25519 (RFC 8032), named by the hash of the public half.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use plinth_platform::crypto::sha256;
use time::OffsetDateTime;

/// One key.
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) public: [u8; 32],
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
    /// It signs from then on.
    pub(super) activates_at: OffsetDateTime,
    /// Its tokens are refused from then on.
    pub(super) retires_at: Option<OffsetDateTime>,
}

impl Key {
    pub(super) fn from_seed(
        seed: &[u8; 32],
        activates_at: OffsetDateTime,
        retires_at: Option<OffsetDateTime>,
    ) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are an Ed25519 seed");
        let public: [u8; 32] = pair
            .public_key()
            .as_ref()
            .try_into()
            .expect("a public key has 32 bytes");
        let pkcs8 = pair.to_pkcs8().expect("a key pair has a PKCS#8 form");
        Self {
            kid: URL_SAFE_NO_PAD.encode(&sha256(&public)[..12]),
            public,
            signing: EncodingKey::from_ed_der(pkcs8.as_ref()),
            verifying: DecodingKey::from_ed_der(&public),
            activates_at,
            retires_at,
        }
    }

    fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.retires_at.is_none_or(|retires_at| retires_at > now)
    }
}

/// Every key that is known at one moment.
pub(super) struct Keys(Vec<Key>);

impl Keys {
    /// `None` of none.
    pub(super) fn of(keys: Vec<Key>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The one that became active last and has not retired.
    pub(super) fn signing(&self, now: OffsetDateTime) -> Option<&Key> {
        self.0
            .iter()
            .filter(|key| key.activates_at <= now && key.is_valid(now))
            .max_by_key(|key| key.activates_at)
    }

    /// The one of this name, if its tokens are still taken.
    pub(super) fn verifying(&self, kid: &str, now: OffsetDateTime) -> Option<&Key> {
        self.0
            .iter()
            .find(|key| key.kid == kid && key.is_valid(now))
    }

    /// Those whose tokens are taken, or will be: what `jwks.json` shows.
    pub(super) fn published(&self, now: OffsetDateTime) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| key.is_valid(now))
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_key_is_published_before_it_signs_and_checks_after_it_signed() {
        let start = datetime!(2026-11-25 12:00 UTC);
        let minutes = Duration::minutes;
        let keys = Keys::of(vec![
            Key::from_seed(&[1; 32], start, Some(start + minutes(20))),
            Key::from_seed(&[2; 32], start + minutes(10), None),
        ])
        .expect("two keys");
        let [first, second] = [&keys.0[0].kid, &keys.0[1].kid];
        let signs = |at| keys.signing(at).map(|key| key.kid.clone());
        assert_eq!(signs(start - minutes(1)), None);
        assert_eq!(signs(start).as_ref(), Some(first));
        assert_eq!(keys.published(start).count(), 2);
        assert_eq!(signs(start + minutes(10)).as_ref(), Some(second));
        assert!(keys.verifying(first, start + minutes(19)).is_some());
        assert!(keys.verifying(first, start + minutes(20)).is_none());
        assert_eq!(keys.published(start + minutes(20)).count(), 1);
    }
}
