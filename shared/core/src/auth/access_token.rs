//! Access tokens: JWTs (RFC 7519, profile of RFC 9068) signed with Ed25519, checked by the rules of RFC 8725.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use plinth_domain::id::{SessionId, TokenId, UserId};
use plinth_platform::crypto::{RootKey, sha256};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Error, Result};

const AUDIENCE: &str = "plinth";
/// RFC 9068, section 2.1: told apart from every other JWT.
const TYPE: &str = "at+jwt";
/// A longer text is no token of ours.
const MAX_BYTES: usize = 2048;
/// Signatures remembered as checked; whether the session lives is still asked each time.
const REMEMBERED: usize = 10_000;
/// Clocks of replicas may differ by so much.
const SKEW: time::Duration = time::Duration::seconds(30);

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    iss: Arc<str>,
    aud: Arc<str>,
    sub: UserId,
    sid: SessionId,
    jti: TokenId,
    #[serde(with = "time::serde::timestamp")]
    iat: OffsetDateTime,
    #[serde(with = "time::serde::timestamp")]
    exp: OffsetDateTime,
    #[serde(with = "time::serde::timestamp")]
    auth_time: OffsetDateTime,
}

impl Claims {
    pub(super) fn new(
        user: UserId,
        session: SessionId,
        token: TokenId,
        issued_at: OffsetDateTime,
        expires_at: OffsetDateTime,
        authenticated_at: OffsetDateTime,
    ) -> Self {
        let unset: Arc<str> = "".into();
        Self {
            iss: unset.clone(),
            aud: unset,
            sub: user,
            sid: session,
            jti: token,
            iat: issued_at,
            exp: expires_at,
            auth_time: authenticated_at,
        }
    }

    pub fn user(&self) -> UserId {
        self.sub
    }

    pub fn session(&self) -> SessionId {
        self.sid
    }

    pub fn token(&self) -> TokenId {
        self.jti
    }

    pub fn expires_at(&self) -> OffsetDateTime {
        self.exp
    }

    /// When the user last proved who he is.
    pub fn authenticated_at(&self) -> OffsetDateTime {
        self.auth_time
    }
}

/// Signs and checks access tokens. Clones share what was checked.
#[derive(Clone)]
pub struct AccessTokens(Arc<Inner>);

struct Inner {
    issuer: Arc<str>,
    kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    checked: Cache<[u8; 32], Arc<Claims>>,
}

impl AccessTokens {
    /// The key is derived from the root key, so that every replica has the same.
    pub fn new(root: &RootKey, issuer: &str) -> Self {
        let seed = root.derive("access token signature v1");
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes are an Ed25519 seed");
        let public = pair.public_key().as_ref();
        let pkcs8 = pair.to_pkcs8().expect("a key pair has a PKCS#8 form");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Times are checked here, by the clock that tests can set.
        validation.validate_exp = false;
        Self(Arc::new(Inner {
            issuer: issuer.into(),
            kid: URL_SAFE_NO_PAD.encode(&sha256(public)[..12]),
            signing: EncodingKey::from_ed_der(pkcs8.as_ref()),
            verifying: DecodingKey::from_ed_der(public),
            validation,
            checked: Cache::new(REMEMBERED),
        }))
    }

    pub(super) fn sign(&self, claims: &Claims) -> jsonwebtoken::errors::Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.0.kid.clone());
        encode(
            &header,
            &Claims { iss: self.0.issuer.clone(), aud: AUDIENCE.into(), ..claims.clone() },
            &self.0.signing,
        )
    }

    /// Checks signature, issuer, audience, type and times; whether the session lives is the gate's to ask.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Arc<Claims>> {
        if token.len() > MAX_BYTES {
            return Err(invalid());
        }
        let digest = sha256(token.as_bytes());
        let claims = if let Some(claims) = self.0.checked.get(&digest) {
            claims
        } else {
            let claims = Arc::new(self.check(token).ok_or_else(invalid)?);
            self.0.checked.insert(digest, claims.clone());
            claims
        };
        if claims.exp <= now {
            return Err(Error::Unauthenticated {
                code: "token_expired",
                detail: "The access token has expired; refresh it.",
            });
        }
        if claims.iat > now + SKEW {
            return Err(invalid());
        }
        Ok(claims)
    }

    fn check(&self, token: &str) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        if header.alg != Algorithm::EdDSA
            || header.typ.as_deref() != Some(TYPE)
            || header.kid.as_deref() != Some(self.0.kid.as_str())
        {
            return None;
        }
        decode::<Claims>(token, &self.0.verifying, &self.0.validation).ok().map(|data| data.claims)
    }
}

fn invalid() -> Error {
    Error::Unauthenticated { code: "invalid_token", detail: "The access token is not one of this service." }
}

#[cfg(test)]
mod tests {
    use plinth_platform::clock::Clock;
    use plinth_platform::settings::Secret;
    use proptest::prelude::*;

    use super::*;

    fn tokens(issuer: &str) -> AccessTokens {
        let root =
            RootKey::parse(&Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).expect("a key");
        AccessTokens::new(&root, issuer)
    }

    fn claims(now: OffsetDateTime) -> Claims {
        let in_five = now + time::Duration::minutes(5);
        Claims::new(UserId::mint(now), SessionId::mint(now), TokenId::mint(now), now, in_five, now)
    }

    #[test]
    fn a_token_is_valid_until_it_expires() {
        let now = Clock::default().now();
        let tokens = tokens("https://a");
        let signed = claims(now);
        let token = tokens.sign(&signed).expect("signs");
        let read = tokens.verify(&token, now).expect("valid");
        assert_eq!((read.user(), read.session(), read.token()), (signed.sub, signed.sid, signed.jti));
        let later = now + time::Duration::minutes(6);
        assert!(matches!(
            tokens.verify(&token, later),
            Err(Error::Unauthenticated { code: "token_expired", .. })
        ));
    }

    #[test]
    fn another_issuer_key_algorithm_or_type_is_refused() {
        let now = Clock::default().now();
        let (ours, theirs) = (tokens("https://a"), tokens("https://b"));
        assert!(ours.verify(&theirs.sign(&claims(now)).expect("signs"), now).is_err(), "issuer");

        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(ours.0.kid.clone());
        let body = Claims { iss: "https://a".into(), aud: AUDIENCE.into(), ..claims(now) };
        assert!(ours.verify(&encode(&header, &body, &ours.0.signing).expect("signs"), now).is_err(), "type");
        header.typ = Some(TYPE.to_owned());
        assert!(ours.verify(&encode(&header, &body, &ours.0.signing).expect("signs"), now).is_ok());
        header.kid = Some("other".to_owned());
        assert!(ours.verify(&encode(&header, &body, &ours.0.signing).expect("signs"), now).is_err(), "kid");

        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&body).expect("json"));
        let none = URL_SAFE_NO_PAD
            .encode(format!("{{\"alg\":\"none\",\"typ\":\"{TYPE}\",\"kid\":\"{}\"}}", ours.0.kid));
        assert!(ours.verify(&format!("{none}.{payload}."), now).is_err(), "alg none");
        let mut confused = Header::new(Algorithm::HS256);
        (confused.typ, confused.kid) = (Some(TYPE.to_owned()), Some(ours.0.kid.clone()));
        let public = EncodingKey::from_secret(ours.0.verifying.try_get_as_bytes().expect("bytes"));
        assert!(
            ours.verify(&encode(&confused, &body, &public).expect("signs"), now).is_err(),
            "key confusion"
        );
    }

    proptest! {
        #[test]
        fn a_changed_character_is_always_noticed(place: prop::sample::Index, replacement in "[A-Za-z0-9_.-]") {
            let now = Clock::default().now();
            let tokens = tokens("https://a");
            let token = tokens.sign(&claims(now)).expect("signs");
            let at = place.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at..=at, &replacement);
            // The last character of a signature holds two bits that mean nothing; a strict decoder refuses them.
            prop_assert!(changed == token || tokens.verify(&changed, now).is_err());
        }

        #[test]
        fn no_text_whatever_passes_or_panics(text in ".{0,300}") {
            prop_assert!(tokens("https://a").verify(&text, Clock::default().now()).is_err());
        }
    }
}
