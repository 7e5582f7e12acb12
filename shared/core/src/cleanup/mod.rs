//! Clean-up: removes what has expired, capability by capability, and reports counts.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::job::{CleanUp, JobPayload as _};
use serde::Serialize;
use time::OffsetDateTime;

use crate::unit::Unit;
use crate::{Error, Result, Stores, auth, files, jobs};

/// How many of each were removed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub expired: auth::Removed,
    pub abandoned_uploads: u64,
}

/// Removes everything that has expired; two at once share the work.
pub async fn run(stores: &Stores, uploads_abandoned_after: Duration) -> Result<Report> {
    let report = Report {
        expired: auth::remove_expired(stores).await?,
        abandoned_uploads: files::remove_abandoned(stores, uploads_abandoned_after).await?,
    };
    let mut unit = Unit::begin(stores, &Origin::system()).await?;
    let details = serde_json::to_value(&report).map_err(Error::internal)?;
    unit.audit_with(Action::CleanedUp, Target::None, Outcome::Success, details).await?;
    unit.commit().await?;
    Ok(report)
}

/// Asks for a clean-up job unless one was asked for within `every`; true when this call did it. However many
/// workers call it, one does.
pub async fn schedule(stores: &Stores, every: Duration) -> Result<bool> {
    let mut unit = Unit::begin(stores, &Origin::system()).await?;
    let tick = last_tick(unit.at(), every);
    let first = jobs::claim_tick(unit.connection(), CleanUp::KIND, tick).await?;
    if first {
        unit.enqueue(&CleanUp {}).await?;
    }
    unit.commit().await?;
    Ok(first)
}

/// The last multiple of a period since the epoch.
fn last_tick(now: OffsetDateTime, every: Duration) -> OffsetDateTime {
    let period = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
    now - time::Duration::seconds(now.unix_timestamp().rem_euclid(period))
}
