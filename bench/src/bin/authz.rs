//! CPU time of one thread to check an access token and a permission, for `cargo dev bench authz`.
//! No store is used: the check of the session is a round trip of its own.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use nix::time::{ClockId, clock_gettime};
use plinth_core::Stores;
use plinth_core::access_tokens::AccessTokens;
use plinth_domain::id::{SessionId, TokenId, UserId};
use plinth_domain::permission::{Permission, Permissions};
use plinth_platform::clock::Clock;
use plinth_platform::crypto::{RootKey, sha256};
use plinth_platform::settings::Settings;
use serde_json::json;
use time::OffsetDateTime;

/// Each is new to the verifier once.
const TOKENS: usize = 20_000;
/// Fewer than the verifier remembers.
const KNOWN: usize = 1_000;
const SEED: [u8; 32] = [7; 32];
const ISSUER: &str = "http://localhost";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let now = Clock::default().now();
    let verifier = verifier()?;
    let texts = tokens(now)?;
    let permissions: Permissions = serde_json::from_value(json!([
        "profile:read",
        "profile:write",
        "files:read",
        "files:write"
    ]))?;

    let first = cost(&verifier, &texts, &permissions, now).await?;
    let known = &texts[..KNOWN];
    cost(&verifier, known, &permissions, now).await?;
    let again = cost(&verifier, known, &permissions, now).await?;
    let answer = json!({ "first": first, "again": again });
    std::io::Write::write_all(&mut std::io::stdout(), answer.to_string().as_bytes())?;
    Ok(())
}

/// Returns microseconds of this thread for each token.
async fn cost(
    verifier: &AccessTokens,
    tokens: &[String],
    permissions: &Permissions,
    now: OffsetDateTime,
) -> Result<f64> {
    let start = thread_time()?;
    for token in tokens {
        let claims = verifier.verify(black_box(token), now).await?;
        ensure!(
            black_box(permissions).allow(Permission::FilesRead),
            "the permission is missing"
        );
        black_box(claims);
    }
    let spent = thread_time()?.saturating_sub(start);
    Ok(spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(tokens.len())?))
}

fn thread_time() -> Result<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .context("reading the thread's clock")
}

/// Returns the verifier of a process with configured keys. Its stores are never connected to.
fn verifier() -> Result<AccessTokens> {
    let seed = STANDARD.encode(SEED);
    let variables = [
        ("PLINTH_SECRET_KEY", seed.as_str()),
        ("PLINTH_PUBLIC_URL", ISSUER),
        ("PLINTH_AUTH_SIGNING_KEYS", &seed),
        ("PLINTH_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("PLINTH_REDIS_URL", "redis://127.0.0.1:1"),
        ("PLINTH_S3_ACCESS_KEY_ID", "none"),
        ("PLINTH_S3_SECRET_ACCESS_KEY", "none"),
        ("PLINTH_SMTP_URL", "smtp://127.0.0.1:1"),
    ];
    let settings =
        Settings::from_env(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))?;
    let root = RootKey::parse(&settings.general.secret_key)?;
    Ok(AccessTokens::new(
        &Stores::new(&settings, "authz")?,
        &settings,
        &root,
    ))
}

/// Returns distinct tokens as a login issues them.
fn tokens(now: OffsetDateTime) -> Result<Vec<String>> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&SEED)?;
    let key = EncodingKey::from_ed_der(pair.to_pkcs8()?.as_ref());
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(URL_SAFE_NO_PAD.encode(&sha256(pair.public_key().as_ref())[..12]));
    let seconds = now.unix_timestamp();
    let token = |_| {
        let claims = json!({
            "iss": ISSUER, "aud": "plinth",
            "sub": UserId::mint(now), "sid": SessionId::mint(now), "jti": TokenId::mint(now),
            "iat": seconds, "exp": seconds + 300, "auth_time": seconds, "amr": ["pwd"],
        });
        Ok(encode(&header, &claims, &key)?)
    };
    (0..TOKENS).map(token).collect()
}
