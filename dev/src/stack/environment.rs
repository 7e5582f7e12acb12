//! The settings of api and worker in a private stack, as PLINTH_* variables.

use super::manifest::{Manifest, Replica};
use crate::layout::State;
use crate::services::{Addresses, BUCKET};

/// Names and values. Of two variables of one name the later one holds.
pub type Variables = Vec<(String, String)>;

/// The settings of every process of a stack.
#[derive(Debug)]
pub struct Environment {
    /// Settings that the developer and the verb can change.
    tuning: Variables,
    /// The services with their secrets.
    fixed: Variables,
}

impl Environment {
    pub(crate) fn new(
        inherit: bool,
        addresses: &Addresses,
        state: &State,
        settings: &[(String, String)],
    ) -> Self {
        let fixed = variables(&[
            ("PLINTH_SECRET_KEY", &state.secret_key),
            ("PLINTH_DATABASE_URL", &addresses.database_url),
            ("PLINTH_REDIS_URL", &addresses.redis_url),
            ("PLINTH_S3_ENDPOINT", &addresses.s3_endpoint),
            ("PLINTH_S3_BUCKET", BUCKET),
            ("PLINTH_S3_PATH_STYLE", "true"),
            ("PLINTH_S3_ACCESS_KEY_ID", &state.s3_access_key_id),
            ("PLINTH_S3_SECRET_ACCESS_KEY", &state.s3_secret_access_key),
            ("PLINTH_SMTP_URL", &addresses.smtp_url),
            ("PLINTH_SMTP_FROM", "Plinth <no-reply@plinth.localhost>"),
        ]);
        // All requests of a developer come from one address.
        let mut tuning = variables(&[
            ("PLINTH_LOG_FORMAT", "text"),
            ("PLINTH_LIMITS_IP_PER_MINUTE", "60000"),
            ("PLINTH_LIMITS_USER_PER_MINUTE", "60000"),
            ("PLINTH_LIMITS_AUTH_PER_MINUTE", "6000"),
            ("PLINTH_LIMITS_REFRESH_PER_MINUTE", "60000"),
        ]);
        if inherit {
            tuning.extend(inherited(&fixed));
        }
        tuning.extend_from_slice(settings);
        Self { tuning, fixed }
    }

    /// Returns the settings of a command such as `migrate`.
    pub fn shared(&self, public_url: &str) -> Variables {
        let mut all = self.tuning.clone();
        all.extend_from_slice(&self.fixed);
        all.extend(variables(&[("PLINTH_PUBLIC_URL", public_url)]));
        all
    }

    /// Returns the settings of one API process.
    pub fn api(&self, manifest: &Manifest, replica: &Replica) -> Variables {
        // First, so that the developer's own pages take precedence.
        let mut all = variables(&[
            ("PLINTH_AUTH_PASSKEY_DOMAIN", "localhost"),
            ("PLINTH_AUTH_PASSKEY_ORIGINS", &manifest.page_origin()),
        ]);
        all.extend(self.shared(&manifest.api_url));
        all.extend(variables(&[
            ("PLINTH_API_BIND", &replica.bind),
            ("PLINTH_API_INTERNAL_BIND", &replica.internal_bind),
            ("PLINTH_API_SHUTDOWN_GRACE", "3s"),
        ]));
        if manifest.replicas.len() > 1 {
            all.extend(variables(&[("PLINTH_API_TRUSTED_PROXIES", "127.0.0.1/32")]));
        }
        all
    }

    /// Returns the settings of one worker.
    pub fn worker(&self, manifest: &Manifest, internal_bind: &str) -> Variables {
        let mut all = self.shared(&manifest.api_url);
        all.extend(variables(&[
            ("PLINTH_WORKER_INTERNAL_BIND", internal_bind),
            ("PLINTH_WORKER_SHUTDOWN_GRACE", "3s"),
        ]));
        all
    }
}

/// Returns the PLINTH_* variables of the developer, except those that name a service.
fn inherited(fixed: &[(String, String)]) -> impl Iterator<Item = (String, String)> {
    std::env::vars()
        .filter(|(name, _)| name.starts_with("PLINTH_"))
        .filter(|(name, _)| {
            let plain = name.strip_suffix("_FILE").unwrap_or(name);
            fixed.iter().all(|(fixed, _)| fixed != plain)
        })
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}
