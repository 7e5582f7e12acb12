//! `cleanup.expired`: removes what has expired; also the one-shot `plinth-worker cleanup`.

use std::time::Duration;

use plinth_core::{Stores, cleanup};
use plinth_platform::settings::Settings;

use crate::outcome::Done;

/// As a job.
pub async fn remove(stores: Stores, uploads_abandoned_after: Duration) -> Done {
    let report = cleanup::run(&stores, uploads_abandoned_after).await?;
    tracing::info!(?report, "cleaned up");
    Ok(())
}

/// As a command; its report as a line of JSON.
pub async fn once(stores: &Stores, settings: &Settings) -> anyhow::Result<String> {
    let report = cleanup::run(stores, settings.files.abandoned_after).await?;
    Ok(serde_json::to_string(&report)?)
}
