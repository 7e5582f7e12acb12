//! Refresh tokens: the session's id, a secret, and a tag that shows that both came from here.
//!
//! Only the secret's hash is kept, and only of the last two. An older token is known by its tag: nobody else could have
//! made it, so whoever presents it holds a copy that should be gone.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plinth_domain::id::SessionId;
use plinth_platform::crypto::{Signer, random, sha256};
use uuid::Uuid;

const BYTES: usize = 64;
const TEXT: usize = 86;
const TAG: usize = 16;

/// A refresh token that came from here.
#[derive(Clone)]
pub(super) struct RefreshToken {
    session: SessionId,
    secret: [u8; 32],
}

impl RefreshToken {
    /// The first of a session.
    pub(super) fn first(session: SessionId) -> Self {
        Self {
            session,
            secret: random(),
        }
    }

    /// Reads a presented token; `None` for what did not come from here.
    pub(super) fn read(text: &str, signer: &Signer) -> Option<Self> {
        // Anything longer is not worth decoding.
        let bytes = (text.len() == TEXT).then(|| URL_SAFE_NO_PAD.decode(text).ok())??;
        let bytes: [u8; BYTES] = bytes.try_into().ok()?;
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (secret, tag) = rest.split_first_chunk::<32>()?;
        let token = Self {
            session: SessionId(Uuid::from_bytes(*id)),
            secret: *secret,
        };
        token.is_tagged(signer, tag).then_some(token)
    }

    /// The one that follows: who holds this one and the key can compute it again, nobody else.
    pub(super) fn next(&self, signer: &Signer) -> Self {
        Self {
            session: self.session,
            secret: signer.tag("next", &self.secret),
        }
    }

    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    /// What is kept of it. A plain hash is enough: 256 random bits cannot be guessed.
    pub(super) fn hash(&self) -> [u8; 32] {
        sha256(&self.secret)
    }

    /// The text that its bearer gets.
    pub(super) fn reveal(&self, signer: &Signer) -> String {
        let tag = signer.tag("tag", &self.tagged());
        URL_SAFE_NO_PAD.encode([&self.tagged(), &tag[..TAG]].concat())
    }

    fn tagged(&self) -> Vec<u8> {
        [&self.session.0.as_bytes()[..], &self.secret].concat()
    }

    fn is_tagged(&self, signer: &Signer, presented: &[u8]) -> bool {
        use subtle::ConstantTimeEq as _;
        signer.tag("tag", &self.tagged())[..TAG]
            .ct_eq(presented)
            .into()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken(session {}, …)", self.session)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session() -> SessionId {
        SessionId(Uuid::from_u128(7))
    }

    #[test]
    fn a_token_is_read_back_and_its_successor_is_fixed() {
        let signer = Signer::new(&[1; 32]);
        let token = RefreshToken::first(session());
        let read = RefreshToken::read(&token.reveal(&signer), &signer).expect("its own text");
        assert_eq!((read.session(), read.hash()), (session(), token.hash()));
        assert_eq!(token.next(&signer).hash(), read.next(&signer).hash());
        assert_ne!(token.next(&signer).hash(), token.hash());
        assert!(RefreshToken::read(&token.reveal(&signer), &Signer::new(&[2; 32])).is_none());
    }

    proptest! {
        #[test]
        fn a_changed_character_is_always_noticed(place: prop::sample::Index, replacement in "[A-Za-z0-9_-]") {
            let signer = Signer::new(&[1; 32]);
            let text = RefreshToken::first(session()).reveal(&signer);
            let at = place.index(text.len());
            let mut changed = text.clone();
            changed.replace_range(at..=at, &replacement);
            prop_assert!(changed == text || RefreshToken::read(&changed, &signer).is_none());
        }

        #[test]
        fn no_text_whatever_passes_or_panics(text in ".{0,200}") {
            prop_assert!(RefreshToken::read(&text, &Signer::new(&[1; 32])).is_none());
        }
    }
}
