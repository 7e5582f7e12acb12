//! `plinth-api keys`: the signing keys in the database, and what is sealed under the root key.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use plinth_core::Stores;
use plinth_core::access_tokens::{KeyStatus, SigningKeys, longest_lifetime};
use plinth_core::second_factors::SecondFactors;
use plinth_platform::crypto::RootKey;
use plinth_platform::settings::{Secret, Settings};
use plinth_platform::telemetry;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::APPLICATION;

/// The keys that have not retired, a line each or as a JSON list.
pub async fn list(settings: Settings, json: bool) -> anyhow::Result<String> {
    let keys = signing_keys(&settings)?.list().await?;
    if json {
        let keys: Vec<_> = keys.iter().map(object).collect::<Result<_, _>>()?;
        return Ok(serde_json::to_string_pretty(&keys)? + "\n");
    }
    let lines: Vec<_> = keys.iter().map(line).collect::<Result<_, _>>()?;
    Ok(lines.concat())
}

/// Makes a key that signs after `activate_in`.
pub async fn rotate(
    settings: Settings,
    activate_in: Duration,
    json: bool,
) -> anyhow::Result<String> {
    let key = signing_keys(&settings)?.rotate(activate_in).await?;
    if json {
        Ok(object(&key)?.to_string() + "\n")
    } else {
        Ok(line(&key)?)
    }
}

/// Ends a key at once; what takes its place.
pub async fn retire(settings: Settings, kid: &str, json: bool) -> anyhow::Result<String> {
    let key = signing_keys(&settings)?.retire(kid).await?;
    if json {
        Ok(object(&key)?.to_string() + "\n")
    } else {
        Ok(line(&key)?)
    }
}

/// Seals under the root key of the settings what was sealed under `before`.
///
/// # Errors
/// If something could not be sealed anew: `before` is still needed. The rest was.
pub async fn reseal(settings: Settings, before: &str) -> anyhow::Result<String> {
    let _telemetry = telemetry::init(APPLICATION, &settings)?;
    let before = RootKey::parse(&Secret::new(before.trim())).context("the root key that was")?;
    let root = RootKey::parse(&settings.general.secret_key)?;
    let stores = Stores::new(&settings, APPLICATION)?;
    let signing_keys = SigningKeys::new(&stores, &root, longest_lifetime(&settings))
        .reseal(&before)
        .await?;
    let totp_secrets = SecondFactors::new(&stores, &settings, &root)
        .reseal(&before)
        .await?;
    let told = json!({ "signing_keys": signing_keys, "totp_secrets": totp_secrets });
    ensure!(
        signing_keys.failed + totp_secrets.failed == 0,
        "keep the old root key, not everything is sealed anew: {told}"
    );
    Ok(told.to_string() + "\n")
}

fn signing_keys(settings: &Settings) -> anyhow::Result<SigningKeys> {
    ensure!(
        settings.auth.signing_keys.is_none(),
        "the signing keys are given in PLINTH_AUTH_SIGNING_KEYS: add a second one there, then let it come first"
    );
    let root = RootKey::parse(&settings.general.secret_key)?;
    let stores = Stores::new(settings, APPLICATION)?;
    Ok(SigningKeys::new(&stores, &root, longest_lifetime(settings)))
}

fn line(key: &KeyStatus) -> Result<String, time::error::Format> {
    let retires = match key.retires_at {
        Some(at) => format!(", ends {}", at.format(&Rfc3339)?),
        None => String::new(),
    };
    Ok(format!(
        "{} signs from {}{retires}\n",
        key.kid,
        key.activates_at.format(&Rfc3339)?
    ))
}

fn object(key: &KeyStatus) -> Result<serde_json::Value, time::error::Format> {
    let text = |at: OffsetDateTime| at.format(&Rfc3339);
    let retires_at = key.retires_at.map(text).transpose()?;
    Ok(json!({ "kid": key.kid, "activates_at": text(key.activates_at)?, "retires_at": retires_at }))
}
