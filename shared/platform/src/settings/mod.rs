//! Settings: one typed struct, read from defaults, then an optional TOML file, then `PLINTH_*`
//! variables.
//!
//! Every problem is reported at once. The reference page and the effective configuration are
//! generated from the same declaration, so that they cannot drift.

mod checked;
mod clamav;
mod declare;
mod files;
mod layers;
mod reference;
mod role_limits;
mod s3;
mod schema;
mod value;
mod worker;

pub use checked::{
    Argon2Memory, AtLeast, Between, DatabaseUrl, DurationBetween, DurationOrZero, HttpUrl,
    KeyPrefix, LogFilter, MasterKeyList, ObjectPrefix, RedisUrl, RootSecret, Sender, SigningSeeds,
    SmtpUrl, Strength,
};
pub use clamav::TooLargeToScan;
pub use layers::{Layers, SettingsError};
pub use reference::markdown;
pub use role_limits::{LimitsByRole, RoleLimits};
pub use s3::ServerSideEncryption;
pub use schema::{
    ApiSettings, AuthSettings, ClamavSettings, DatabaseSettings, FilesSettings, GeneralSettings,
    LimitsSettings, LogSettings, RedisSettings, S3Settings, Settings, SmtpSettings,
    TelemetrySettings, WorkerSettings,
};
pub use value::{ByteSize, List, LogFormat, Secret, Value};
pub use worker::QueueConcurrency;

/// The description of one setting, as the reference page shows it.
#[derive(Debug, Clone)]
pub struct Variable {
    /// The environment variable, e.g. `PLINTH_API_BIND`.
    pub env: String,
    /// The key in the settings file, e.g. `api.bind`.
    pub key: String,
    pub kind: &'static str,
    /// `None` if the setting is required.
    pub default: Option<&'static str>,
    pub secret: bool,
    pub doc: &'static str,
}

impl Variable {
    fn of<T: Value>(
        group: &str,
        field: &str,
        default: Option<&'static str>,
        doc: &'static str,
    ) -> Self {
        Self {
            env: env_name(group, field),
            key: if group.is_empty() {
                field.to_owned()
            } else {
                format!("{group}.{field}")
            },
            kind: T::KIND,
            default,
            secret: T::SECRET,
            doc,
        }
    }
}

fn env_name(group: &str, field: &str) -> String {
    let separator = if group.is_empty() { "" } else { "_" };
    format!("PLINTH_{group}{separator}{field}").to_uppercase()
}
