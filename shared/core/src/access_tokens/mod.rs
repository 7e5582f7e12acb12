//! Access tokens: JWTs (RFC 7519, profile of RFC 9068) signed with Ed25519, checked by the rules of RFC 8725.

mod claims;
mod keys;
mod repository;
mod reseal;
mod ring;
mod rotation;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::TokenId;
use plinth_platform::crypto::{RootKey, sha256};
use plinth_platform::settings::Settings;
use quick_cache::sync::Cache;
use time::OffsetDateTime;

use self::keys::Keys;
use self::ring::Ring;
use crate::{Error, Result, Stores};

use claims::AUDIENCE;
pub use claims::Claims;
pub(crate) use claims::Grant;
pub(crate) use repository::retired;
pub use rotation::{KeyStatus, SigningKeys};
pub(crate) use rotation::{check_newest, newest, sealer};

/// RFC 9068, section 2.1: told apart from every other JWT.
const TYPE: &str = "at+jwt";
/// A longer text is no token of ours.
const MAX_BYTES: usize = 2048;
/// Signatures remembered as checked; whether the session lives is still asked each time.
const REMEMBERED: usize = 10_000;
/// Clocks of replicas may differ by so much.
const SKEW: time::Duration = time::Duration::seconds(30);

/// Signs and checks access tokens. Clones share what was checked.
#[derive(Clone)]
pub struct AccessTokens(Arc<Inner>);

struct Inner {
    issuer: Arc<str>,
    ring: Arc<Ring>,
    validation: Validation,
    checked: Cache<[u8; 32], Arc<Checked>>,
}

/// A token whose signature was checked, with the name of the key.
struct Checked {
    kid: String,
    claims: Arc<Claims>,
}

impl AccessTokens {
    /// Call inside the Tokio runtime: keys of the database are read in a task of their own.
    pub fn new(stores: &Stores, settings: &Settings, root: &RootKey) -> Self {
        let given = settings
            .auth
            .signing_keys
            .as_ref()
            .and_then(|given| ring::configured(&given.seeds()));
        let ring = match given {
            Some(keys) => Ring::fixed(keys),
            None => Ring::start(SigningKeys::new(stores, root, longest_lifetime(settings))),
        };
        Self::of(ring, &settings.general.public_url)
    }

    fn of(ring: Arc<Ring>, issuer: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Times are checked here, by the clock that tests can set.
        validation.validate_exp = false;
        Self(Arc::new(Inner {
            issuer: issuer.into(),
            ring,
            validation,
            checked: Cache::new(REMEMBERED),
        }))
    }

    /// A token that says what was granted, valid from now on.
    pub(crate) async fn sign(
        &self,
        grant: Grant,
        now: OffsetDateTime,
        lifetime: Duration,
    ) -> Result<String> {
        let claims = Claims::new(
            &self.0.issuer,
            grant,
            TokenId::mint(now),
            now,
            now + lifetime,
        );
        let keys = self.0.ring.keys().await?;
        let key = keys
            .signing(now)
            .ok_or_else(|| Error::internal("no signing key is active"))?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        encode(&header, &claims, &key.signing).map_err(Error::internal)
    }

    /// Checks signature, issuer, audience, type and times; whether the session lives is the gate's to ask.
    pub async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Arc<Claims>> {
        if token.len() > MAX_BYTES {
            return Err(invalid());
        }
        let digest = sha256(token.as_bytes());
        let keys = self.0.ring.keys().await?;
        let known = self
            .0
            .checked
            .get(&digest)
            .filter(|checked| keys.verifying(&checked.kid, now).is_some());
        let claims = if let Some(checked) = known {
            checked.claims.clone()
        } else {
            let checked = Arc::new(Box::pin(self.check(keys, token, now)).await?);
            self.0.checked.insert(digest, checked.clone());
            checked.claims.clone()
        };
        if claims.exp <= now {
            return Err(Error::Unauthenticated {
                code: ErrorCode::TokenExpired,
                detail: "The access token has expired; refresh it.",
            });
        }
        if claims.iat > now + SKEW || claims.nbf.is_some_and(|not_before| not_before > now + SKEW) {
            return Err(invalid());
        }
        Ok(claims)
    }

    async fn check(
        &self,
        mut keys: Arc<Keys>,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Checked> {
        let header = decode_header(token).map_err(|_| invalid())?;
        let Some(kid) = header
            .kid
            .filter(|_| header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(TYPE))
        else {
            return Err(invalid());
        };
        if keys.verifying(&kid, now).is_none() {
            keys = self.0.ring.look_again().await?;
        }
        let key = keys.verifying(&kid, now).ok_or_else(invalid)?;
        let read =
            decode::<Claims>(token, &key.verifying, &self.0.validation).map_err(|_| invalid())?;
        Ok(Checked {
            kid,
            claims: Arc::new(read.claims),
        })
    }

    /// The public halves of the keys that are in force or will be.
    pub async fn published_keys(&self, now: OffsetDateTime) -> Result<Vec<PublicKey>> {
        let keys = self.0.ring.keys().await?;
        let public = |key: &keys::Key| PublicKey {
            kid: key.kid.clone(),
            x: URL_SAFE_NO_PAD.encode(key.public),
        };
        Ok(keys.published(now).map(public).collect())
    }
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    /// The point, as JWKs write it (RFC 8037, section 2).
    pub x: String,
}

/// How long the longest access token is valid.
pub fn longest_lifetime(settings: &Settings) -> Duration {
    settings
        .auth
        .access_token_lifetime
        .max(crate::auth::IMPERSONATION)
}

fn invalid() -> Error {
    Error::Unauthenticated {
        code: ErrorCode::InvalidToken,
        detail: "The access token is not one of this service.",
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::EncodingKey;
    use plinth_domain::authentication::{Method, Methods};
    use plinth_domain::id::{SessionId, UserId};
    use plinth_platform::clock::Clock;
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::*;

    const LIFETIME: Duration = Duration::from_mins(5);

    /// What somebody else says differently, given a minute.
    type Change = fn(&mut Claims, time::Duration);

    fn tokens(issuer: &str, seed: u8) -> AccessTokens {
        AccessTokens::of(
            Ring::fixed(ring::configured(&[[seed; 32]]).expect("a key")),
            issuer,
        )
    }

    fn grant(now: OffsetDateTime) -> Grant {
        Grant {
            user: UserId::mint(now),
            session: SessionId::mint(now),
            authenticated_at: now,
            methods: Methods::of(&[Method::Password]),
            impersonator: None,
        }
    }

    /// A token that somebody else put together.
    async fn forged(
        by: &AccessTokens,
        header: &Header,
        claims: &Claims,
        key: Option<&EncodingKey>,
    ) -> String {
        let keys = by.0.ring.keys().await.expect("keys");
        let own = &keys.signing(Clock::default().now()).expect("a key").signing;
        encode(header, claims, key.unwrap_or(own)).expect("signs")
    }

    #[tokio::test]
    async fn a_token_is_valid_until_it_expires() {
        let now = Clock::default().now();
        let tokens = tokens("https://a", 1);
        let granted = grant(now);
        let token = tokens
            .sign(granted.clone(), now, LIFETIME)
            .await
            .expect("signs");
        let read = tokens.verify(&token, now).await.expect("valid");
        assert_eq!(
            (read.user(), read.session()),
            (granted.user, granted.session)
        );
        assert_eq!(
            (read.methods(), read.impersonator()),
            (&granted.methods, None)
        );
        let later = now + time::Duration::minutes(6);
        assert!(matches!(
            tokens.verify(&token, later).await,
            Err(Error::Unauthenticated {
                code: ErrorCode::TokenExpired,
                ..
            })
        ));
    }

    #[tokio::test]
    async fn another_issuer_audience_key_algorithm_type_or_time_is_refused() {
        let now = Clock::default()
            .now()
            .replace_nanosecond(0)
            .expect("whole seconds");
        let (ours, theirs, stranger) = (
            tokens("https://a", 1),
            tokens("https://b", 1),
            tokens("https://a", 2),
        );
        let of = |tokens: AccessTokens| async move {
            tokens.sign(grant(now), now, LIFETIME).await.expect("signs")
        };
        assert!(ours.verify(&of(theirs).await, now).await.is_err(), "issuer");
        assert!(ours.verify(&of(stranger).await, now).await.is_err(), "key");

        let keys = ours.0.ring.keys().await.expect("keys");
        let key = keys.signing(now).expect("a key");
        let issuer = "https://a".into();
        let body = Claims::new(&issuer, grant(now), TokenId::mint(now), now, now + LIFETIME);
        let mut header = Header::new(Algorithm::EdDSA);
        (header.typ, header.kid) = (Some(TYPE.to_owned()), Some(key.kid.clone()));
        let good = forged(&ours, &header, &body, None).await;
        assert!(
            ours.verify(&good, now).await.is_ok(),
            "the rest of this test would show nothing"
        );

        let minute = time::Duration::minutes(1);
        let changes: [(&str, Change); 4] = [
            ("audience", |claims, _| claims.aud = "other".into()),
            ("future", |claims, minute| claims.iat += minute),
            ("not yet valid", |claims, minute| {
                claims.nbf = Some(claims.iat + minute);
            }),
            ("expired", |claims, _| claims.exp = claims.iat),
        ];
        for (what, change) in changes {
            let mut claims = body.clone();
            change(&mut claims, minute);
            let token = forged(&ours, &header, &claims, None).await;
            assert!(ours.verify(&token, now).await.is_err(), "{what}");
        }
        for (what, typ, kid) in [
            ("type", None, Some(key.kid.clone())),
            ("kid", Some(TYPE.to_owned()), Some("other".to_owned())),
            ("no kid", Some(TYPE.to_owned()), None),
        ] {
            let mut header = Header::new(Algorithm::EdDSA);
            (header.typ, header.kid) = (typ, kid);
            let token = forged(&ours, &header, &body, None).await;
            assert!(ours.verify(&token, now).await.is_err(), "{what}");
        }

        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&body).expect("json"));
        let none = URL_SAFE_NO_PAD.encode(format!(
            "{{\"alg\":\"none\",\"typ\":\"{TYPE}\",\"kid\":\"{}\"}}",
            key.kid
        ));
        assert!(
            ours.verify(&format!("{none}.{payload}."), now)
                .await
                .is_err(),
            "alg none"
        );
        let mut confused = Header::new(Algorithm::HS256);
        (confused.typ, confused.kid) = (Some(TYPE.to_owned()), Some(key.kid.clone()));
        let public = EncodingKey::from_secret(&key.public);
        let token = forged(&ours, &confused, &body, Some(&public)).await;
        assert!(
            ours.verify(&token, now).await.is_err(),
            "HS256 with the public key"
        );
    }

    /// Runs a case of a property that has to wait.
    fn wait<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(work)
    }

    proptest! {
        #[test]
        fn a_changed_character_is_always_noticed(place: prop::sample::Index, replacement in "[A-Za-z0-9_.-]") {
            wait(async {
                let now = Clock::default().now();
                let tokens = tokens("https://a", 1);
                let token = tokens.sign(grant(now), now, LIFETIME).await.expect("signs");
                let at = place.index(token.len());
                let mut changed = token.clone();
                changed.replace_range(at..=at, &replacement);
                // The last character of a signature holds two bits that mean nothing; a strict decoder refuses them.
                prop_assert!(changed == token || tokens.verify(&changed, now).await.is_err());
                Ok::<_, TestCaseError>(())
            })?;
        }

        #[test]
        fn no_text_whatever_passes_or_panics(text in ".{0,300}") {
            prop_assert!(wait(tokens("https://a", 1).verify(&text, Clock::default().now())).is_err());
        }
    }
}
