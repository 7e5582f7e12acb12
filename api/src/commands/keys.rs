//! `plinth-api keys`: the signing keys in the database, and the data encrypted under the root key.

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

/// Returns the keys that have not retired, one per line or as a JSON array.
pub async fn list(settings: Settings, json: bool) -> anyhow::Result<String> {
    let keys = signing_keys(&settings)?.list().await?;
    if json {
        let keys: Vec<_> = keys.iter().map(to_json).collect::<Result<_, _>>()?;
        return Ok(serde_json::to_string_pretty(&keys)? + "\n");
    }
    let lines: Vec<_> = keys.iter().map(to_line).collect::<Result<_, _>>()?;
    Ok(lines.concat())
}

/// Creates a key that signs after `activate_in`.
pub async fn rotate(
    settings: Settings,
    activate_in: Duration,
    json: bool,
) -> anyhow::Result<String> {
    let key = signing_keys(&settings)?.rotate(activate_in).await?;
    if json {
        Ok(to_json(&key)?.to_string() + "\n")
    } else {
        Ok(to_line(&key)?)
    }
}

/// Retires a key at once. Returns the key that replaces it.
pub async fn retire(settings: Settings, kid: &str, json: bool) -> anyhow::Result<String> {
    let key = signing_keys(&settings)?.retire(kid).await?;
    if json {
        Ok(to_json(&key)?.to_string() + "\n")
    } else {
        Ok(to_line(&key)?)
    }
}

/// Encrypts under the root key of the settings what is encrypted under `before`.
///
/// # Errors
/// Something could not be decrypted: `before` is still needed for it.
pub async fn reseal(settings: Settings, before: &str) -> anyhow::Result<String> {
    let _telemetry = telemetry::init(APPLICATION, &settings)?;
    let before = RootKey::parse(&Secret::new(before.trim()))
        .context("the previous root key is malformed")?;
    let root = RootKey::parse(&settings.general.secret_key)?;
    let stores = Stores::new(&settings, APPLICATION)?;
    let signing_keys = SigningKeys::new(&stores, &root, longest_lifetime(&settings))
        .reseal(&before)
        .await?;
    let totp_secrets = SecondFactors::new(&stores, &settings, &root)
        .reseal(&before)
        .await?;
    let report = json!({ "signing_keys": signing_keys, "totp_secrets": totp_secrets });
    ensure!(
        signing_keys.failed + totp_secrets.failed == 0,
        "keep the previous root key: some data is still encrypted under it: {report}"
    );
    Ok(report.to_string() + "\n")
}

fn signing_keys(settings: &Settings) -> anyhow::Result<SigningKeys> {
    ensure!(
        settings.auth.signing_keys.is_none(),
        "the signing keys come from PLINTH_AUTH_SIGNING_KEYS: add a second key there, then move it to the front"
    );
    let root = RootKey::parse(&settings.general.secret_key)?;
    let stores = Stores::new(settings, APPLICATION)?;
    Ok(SigningKeys::new(&stores, &root, longest_lifetime(settings)))
}

fn to_line(key: &KeyStatus) -> Result<String, time::error::Format> {
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

fn to_json(key: &KeyStatus) -> Result<serde_json::Value, time::error::Format> {
    let text = |at: OffsetDateTime| at.format(&Rfc3339);
    let retires_at = key.retires_at.map(text).transpose()?;
    Ok(json!({ "kid": key.kid, "activates_at": text(key.activates_at)?, "retires_at": retires_at }))
}
