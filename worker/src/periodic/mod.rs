//! Periodic work: the clock that asks for what is due, and the command that shows the table.

pub mod command;

use std::time::Duration;

use plinth_core::jobs::Periodic;
use plinth_platform::error_chain;
use tokio_util::sync::CancellationToken;

/// The clock is looked at no less often: it is PostgreSQL's, and may be set.
const LOOK: Duration = Duration::from_secs(30);

/// Asks at every tick until `stop`; however many workers do, one job comes of each.
pub async fn run(periodic: Periodic, stop: CancellationToken) {
    loop {
        let wait = match periodic.ask().await {
            Ok(look) => {
                for task in look.asked {
                    tracing::info!(%task, "asked for a periodic task");
                }
                look.next.map_or(LOOK, |next| next.min(LOOK))
            }
            Err(error) => {
                tracing::warn!(
                    error = error_chain::format_error_chain(&error),
                    "could not look which periodic tasks are due"
                );
                LOOK
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
