//! The settings of api and worker in a private stack, as PLINTH_* variables.

use super::manifest::{Manifest, Replica};
use crate::backing::{Addresses, BUCKET, Services};
use crate::layout::Facts;

/// Names and values.
pub(crate) type Variables = Vec<(String, String)>;

/// What is the same for every process of a stack.
#[derive(Debug)]
pub(crate) struct Environment {
    /// What may be tuned: by the developer where the stack is his, and by the verb
    /// that starts it.
    tuning: Variables,
    /// Where things are, and their secrets.
    fixed: Variables,
}

impl Environment {
    pub(crate) fn new(
        services: Services,
        addresses: &Addresses,
        facts: &Facts,
        settings: &[(String, String)],
    ) -> Self {
        let fixed = [
            ("PLINTH_SECRET_KEY", facts.secret_key.as_str()),
            ("PLINTH_DATABASE_URL", &addresses.database_url),
            ("PLINTH_REDIS_URL", &addresses.redis_url),
            ("PLINTH_S3_ENDPOINT", &addresses.s3_endpoint),
            ("PLINTH_S3_BUCKET", BUCKET),
            ("PLINTH_S3_PATH_STYLE", "true"),
            ("PLINTH_S3_ACCESS_KEY_ID", &facts.s3_access_key_id),
            ("PLINTH_S3_SECRET_ACCESS_KEY", &facts.s3_secret_access_key),
            ("PLINTH_SMTP_URL", &addresses.smtp_url),
            ("PLINTH_SMTP_FROM", "Plinth <no-reply@plinth.localhost>"),
        ];
        let fixed = fixed.map(|(name, value)| pair(name, value)).to_vec();
        // Tools and tests of a developer come from one address.
        let mut tuning = vec![
            pair("PLINTH_LOG_FORMAT", "text"),
            pair("PLINTH_LIMITS_IP_PER_MINUTE", "60000"),
            pair("PLINTH_LIMITS_USER_PER_MINUTE", "60000"),
            pair("PLINTH_LIMITS_AUTH_PER_MINUTE", "6000"),
            pair("PLINTH_LIMITS_REFRESH_PER_MINUTE", "60000"),
        ];
        if services == Services::AsGiven {
            tuning.extend(inherited(&fixed));
        }
        tuning.extend_from_slice(settings);
        Self { tuning, fixed }
    }

    /// For the one-shots (migrate, admin). Of two variables of one name the later
    /// one holds.
    pub(crate) fn shared(&self, public_url: &str) -> Variables {
        let mut variables = self.tuning.clone();
        variables.extend_from_slice(&self.fixed);
        variables.push(pair("PLINTH_PUBLIC_URL", public_url));
        variables
    }

    /// For one api process.
    pub(crate) fn api(&self, manifest: &Manifest, replica: &Replica) -> Variables {
        // First, so that a developer's own pages have precedence.
        let mut variables = vec![
            pair("PLINTH_AUTH_PASSKEY_DOMAIN", "localhost"),
            pair("PLINTH_AUTH_PASSKEY_ORIGINS", &manifest.page_origin()),
        ];
        variables.extend(self.shared(&manifest.api_url));
        variables.push(pair("PLINTH_API_BIND", &replica.bind));
        variables.push(pair("PLINTH_API_INTERNAL_BIND", &replica.internal_bind));
        variables.push(pair("PLINTH_API_SHUTDOWN_GRACE", "3s"));
        if manifest.replicas.len() > 1 {
            variables.push(pair("PLINTH_API_TRUSTED_PROXIES", "127.0.0.1/32"));
        }
        variables
    }

    /// For one worker.
    pub(crate) fn worker(&self, manifest: &Manifest, internal_bind: &str) -> Variables {
        let mut variables = self.shared(&manifest.api_url);
        variables.push(pair("PLINTH_WORKER_INTERNAL_BIND", internal_bind));
        variables.push(pair("PLINTH_WORKER_SHUTDOWN_GRACE", "3s"));
        variables
    }
}

/// The developer's own PLINTH_* variables, which may tune anything but where
/// things are.
fn inherited(fixed: &[(String, String)]) -> impl Iterator<Item = (String, String)> {
    std::env::vars()
        .filter(|(name, _)| name.starts_with("PLINTH_"))
        .filter(|(name, _)| {
            let plain = name.strip_suffix("_FILE").unwrap_or(name);
            fixed.iter().all(|(fixed, _)| fixed != plain)
        })
}

pub(super) fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
