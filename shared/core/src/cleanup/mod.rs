//! Clean-up: removes what has expired, capability by capability, and reports counts.

use std::time::Duration;

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::job::CleanUp;
use serde::Serialize;

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
    let since = unit.at() - every;
    let first = jobs::claim_period::<CleanUp>(unit.connection(), since).await?;
    if first {
        unit.enqueue(&CleanUp {}).await?;
    }
    unit.commit().await?;
    Ok(first)
}
