//! `plinth-api admin import`: creates accounts of another system with their password hashes.

use std::io::{BufRead, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use plinth_core::second_factors::{SecondFactors, TotpSecret};
use plinth_core::users::{ImportedAccount, Users};
use plinth_core::{Error, Stores};
use plinth_domain::email::Email;
use plinth_domain::role::RoleName;
use plinth_domain::text::DisplayName;
use plinth_platform::crypto::{
    FirebaseParameters, HashFailure, KeycloakCredential, RootKey, StoredHash,
};
use plinth_platform::settings::Settings;
use serde::Deserialize;
use time::OffsetDateTime;

use super::APPLICATION;

/// One line of the input: an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportLine {
    email: String,
    password_hash: Option<String>,
    keycloak_credential: Option<KeycloakCredential>,
    firebase_hash: Option<FirebaseHash>,
    display_name: Option<String>,
    #[serde(default)]
    email_verified: bool,
    #[serde(default, with = "time::serde::rfc3339::option")]
    created_at: Option<OffsetDateTime>,
    #[serde(default)]
    roles: Vec<String>,
    totp_secret: Option<String>,
}

/// The `passwordHash` and `salt` of a Firebase export.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirebaseHash {
    hash: String,
    salt: String,
}

/// The password hash parameters of a Firebase project, as its console shows them (`hash_config`).
#[derive(Deserialize)]
struct FirebaseFile {
    base64_signer_key: String,
    base64_salt_separator: String,
    rounds: u32,
    mem_cost: u32,
}

impl ImportLine {
    fn parse(
        text: &[u8],
        firebase: Option<&FirebaseParameters>,
    ) -> anyhow::Result<ImportedAccount> {
        let line: Self = serde_json::from_slice(text)?;
        let roles: Result<Vec<RoleName>, _> = line
            .roles
            .iter()
            .map(|name| RoleName::parse(name))
            .collect();
        Ok(ImportedAccount {
            password_hash: line.stored_hash(firebase)?,
            email: Email::parse(&line.email)?,
            display_name: line
                .display_name
                .as_deref()
                .map(DisplayName::parse)
                .transpose()?,
            email_verified: line.email_verified,
            created_at: line.created_at,
            roles: roles?,
            totp_secret: line
                .totp_secret
                .as_deref()
                .map(TotpSecret::parse)
                .transpose()?,
        })
    }

    fn stored_hash(&self, firebase: Option<&FirebaseParameters>) -> anyhow::Result<Option<String>> {
        let stored = match (
            &self.password_hash,
            &self.keycloak_credential,
            &self.firebase_hash,
        ) {
            (None, None, None) => return Ok(None),
            (Some(hash), None, None) => StoredHash::import(hash),
            (None, Some(credential), None) => StoredHash::import_keycloak(credential),
            (None, None, Some(FirebaseHash { hash, salt })) => {
                let parameters = firebase.context("firebase_hash needs --firebase-parameters")?;
                StoredHash::import_firebase(parameters, salt, hash)
            }
            _ => {
                bail!(
                    "expected at most one of password_hash, keycloak_credential and firebase_hash"
                )
            }
        };
        let unreadable = |_: HashFailure| {
            anyhow!("the password hash has an unknown format, or is too expensive to verify")
        };
        stored.map(Some).map_err(unreadable)
    }
}

/// The number of lines by result.
#[derive(Default)]
struct Summary {
    created: u64,
    existing: u64,
    refused: u64,
}

/// Creates an account for each line.
///
/// Existing accounts are skipped, so that a file can be imported again. An invalid line is reported
/// with its number on standard error, and the import continues.
///
/// # Errors
/// A line was invalid, or a store failed.
pub async fn accounts(
    settings: Settings,
    firebase: Option<&Path>,
    lines: impl BufRead,
) -> anyhow::Result<String> {
    let firebase = firebase.map(firebase_parameters).transpose()?;
    let stores = Stores::new(&settings, APPLICATION)?;
    let root = RootKey::parse(&settings.general.secret_key)?;
    let (users, factors) = (
        Users::new(&stores),
        SecondFactors::new(&stores, &settings, &root),
    );
    let mut summary = Summary::default();
    for (number, line) in lines.split(b'\n').enumerate() {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let imported = match ImportLine::parse(&line, firebase.as_ref()) {
            Ok(account) => match users.import(&factors, account).await {
                Err(Error::Invalid(faults)) => {
                    let details = faults
                        .into_iter()
                        .map(|fault| format!("{}: {}", fault.pointer, fault.rejection));
                    Err(anyhow!(details.collect::<Vec<_>>().join(" ")))
                }
                other => Ok(other.with_context(|| format!("line {}", number + 1))?),
            },
            Err(error) => Err(error),
        };
        match imported {
            Ok(true) => summary.created += 1,
            Ok(false) => summary.existing += 1,
            Err(error) => {
                summary.refused += 1;
                writeln!(std::io::stderr(), "line {}: {error:#}", number + 1)?;
            }
        }
    }
    let Summary {
        created,
        existing,
        refused,
    } = summary;
    let summary_line = format!("created {created} accounts, skipped {existing} existing");
    if refused > 0 {
        bail!("{summary_line}, refused {refused} lines");
    }
    Ok(summary_line + "\n")
}

fn firebase_parameters(path: &Path) -> anyhow::Result<FirebaseParameters> {
    let context = || format!("cannot read {}", path.display());
    let file: FirebaseFile = serde_json::from_slice(&std::fs::read(path).with_context(context)?)
        .with_context(context)?;
    FirebaseParameters::parse(
        &file.base64_signer_key,
        &file.base64_salt_separator,
        file.rounds,
        file.mem_cost,
    )
    .context("the Firebase parameters are not base64")
}
