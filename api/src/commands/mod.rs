//! Commands that run once and exit. Each returns its output.

pub mod audit_reference;
pub mod error_reference;
pub mod import;
pub mod keys;

use std::io::{Read as _, Write as _};

use plinth_core::Stores;
use plinth_core::auth::PasswordPolicy;
use plinth_core::users::Users;
use plinth_domain::email::Email;
use plinth_domain::password::Password;
use plinth_platform::crypto::PasswordHasher;
use plinth_platform::database;
use plinth_platform::settings::Settings;

const APPLICATION: &str = "plinth-api";

/// Returns the settings of this process.
pub fn settings() -> anyhow::Result<Settings> {
    Ok(Settings::load()?)
}

/// Returns the effective settings, one per line or as a JSON object.
pub fn effective_settings(json: bool) -> anyhow::Result<String> {
    let effective = settings()?.effective();
    if json {
        let object: serde_json::Map<String, serde_json::Value> = effective
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        return Ok(serde_json::to_string_pretty(&object)? + "\n");
    }
    let lines: Vec<String> = effective
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Ok(lines.join("\n") + "\n")
}

/// Brings the database schema up to date, and reports the progress on standard error.
pub async fn migrate(settings: Settings) -> anyhow::Result<String> {
    let report = |line: &str| {
        // Failing to report progress must not stop the migration.
        let _ = writeln!(std::io::stderr(), "{line}");
    };
    let version = database::migrate(&settings.database, APPLICATION, &report).await?;
    Ok(format!("the schema is at version {version}\n"))
}

/// Creates the administrator unless one exists. Reads the password from standard input.
pub async fn create_administrator(settings: Settings, email: &str) -> anyhow::Result<String> {
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password)?;
    let password = Password::parse(password.trim_end_matches(['\r', '\n']))?;
    let email = Email::parse(email)?;
    let policy = PasswordPolicy::of(&settings);
    policy.judge(&password, &email)?;
    let stores = Stores::new(&settings, APPLICATION)?;
    let hasher = PasswordHasher::start(&settings.auth)?;
    let created = Users::new(&stores)
        .ensure_administrator(&hasher, email, password)
        .await?;
    Ok(if created {
        "the administrator was created\n"
    } else {
        "the administrator exists\n"
    }
    .to_owned())
}
