//! The commands of operators, which do the same as the administration API.

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

/// The application name of the connections of these commands in PostgreSQL.
pub(crate) const APPLICATION: &str = "plinth-worker-admin";

fn job_administration(settings: &Settings) -> anyhow::Result<JobAdministration> {
    Ok(JobAdministration::new(&Stores::new(settings, APPLICATION)?))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Returns the report of a batch as a line of JSON.
///
/// # Errors
/// Items were passed over. The report is printed anyway.
pub(crate) fn report_line(report: &impl Serialize, passed_over: u64) -> anyhow::Result<String> {
    line_or_error(passed_over, serde_json::to_string(report)? + "\n")
}

/// Returns `line`.
///
/// # Errors
/// Items were passed over. The line is printed anyway.
fn line_or_error(passed_over: u64, line: String) -> anyhow::Result<String> {
    if passed_over == 0 {
        return Ok(line);
    }
    std::io::stdout().write_all(line.as_bytes())?;
    anyhow::bail!("{passed_over} items failed and were passed over; see the log")
}

fn format_time(at: OffsetDateTime) -> String {
    // Never fails for a time of the ledger, because years have four digits.
    at.format(&Rfc3339).unwrap_or_default()
}
