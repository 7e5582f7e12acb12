//! `plinth-api admin import`: accounts of another system, with the hashes of their passwords.

use std::io::BufRead;

use anyhow::{Context as _, bail};
use plinth_core::Stores;
use plinth_core::users::{ImportedAccount, Users};
use plinth_domain::email::Email;
use plinth_domain::text::DisplayName;
use plinth_platform::crypto::StoredHash;
use plinth_platform::settings::Settings;
use serde::Deserialize;

use super::APPLICATION;

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    email: String,
    password_hash: String,
    display_name: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

impl Line {
    fn parse(text: &str) -> anyhow::Result<ImportedAccount> {
        let line: Self = serde_json::from_str(text)?;
        if StoredHash::parse_foreign(&line.password_hash).is_err() {
            bail!("the password hash is of no known form, or costs too much to check");
        }
        Ok(ImportedAccount {
            email: Email::parse(&line.email)?,
            password_hash: line.password_hash,
            display_name: line.display_name.as_deref().map(DisplayName::parse).transpose()?,
            email_verified: line.email_verified,
        })
    }
}

/// Creates an account a line. A line that is wrong ends it; those before it stay, and are passed over next time.
pub async fn accounts(settings: Settings, lines: impl BufRead) -> anyhow::Result<String> {
    let users = Users::new(&Stores::new(&settings, APPLICATION)?);
    let (mut created, mut known) = (0u64, 0u64);
    for (number, line) in lines.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let place = || format!("line {}", number + 1);
        let account = Line::parse(&line).with_context(place)?;
        if users.import(account).await.with_context(place)? {
            created += 1;
        } else {
            known += 1;
        }
    }
    Ok(format!("{created} accounts were created, {known} were there already\n"))
}
