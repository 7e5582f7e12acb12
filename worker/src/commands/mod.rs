//! The commands of operators: what the API does, from the command line.

pub mod jobs;
pub mod keys;
pub mod queues;

use std::io::Write as _;

use plinth_core::Stores;
use plinth_core::jobs::JobAdministration;
use plinth_platform::settings::Settings;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// As PostgreSQL's list of connections names it.
pub(crate) const APPLICATION: &str = "plinth-worker-admin";

fn administration(settings: &Settings) -> anyhow::Result<JobAdministration> {
    Ok(JobAdministration::new(&Stores::new(settings, APPLICATION)?))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The report of a batch as a line to print.
///
/// # Errors
/// Items were passed over. The report is printed all the same.
pub(crate) fn finished(report: &impl Serialize, passed_over: u64) -> anyhow::Result<String> {
    line_unless(passed_over, serde_json::to_string(report)? + "\n")
}

/// The line to print.
///
/// # Errors
/// Items were passed over. The line is printed all the same.
fn line_unless(passed_over: u64, line: String) -> anyhow::Result<String> {
    if passed_over == 0 {
        return Ok(line);
    }
    std::io::stdout().write_all(line.as_bytes())?;
    anyhow::bail!("{passed_over} items failed and were passed over; the log says why")
}

fn told(at: OffsetDateTime) -> String {
    // Every time of the ledger can be written: the years have four digits.
    at.format(&Rfc3339).unwrap_or_default()
}
