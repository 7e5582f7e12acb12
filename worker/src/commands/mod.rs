//! The commands of operators: what the API does, from the command line.

pub mod jobs;
pub mod keys;
pub mod queues;

use plinth_core::Stores;
use plinth_core::jobs::JobAdministration;
use plinth_platform::settings::Settings;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// As PostgreSQL's list of connections names it.
pub(crate) const APPLICATION: &str = "plinth-worker-admin";

fn administration(settings: &Settings) -> anyhow::Result<JobAdministration> {
    Ok(JobAdministration::new(&Stores::new(settings, APPLICATION)?))
}

fn told(at: OffsetDateTime) -> String {
    // Every time of the ledger can be written: the years have four digits.
    at.format(&Rfc3339).unwrap_or_default()
}
