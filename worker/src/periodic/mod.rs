//! Periodic tasks: the loop that enqueues due tasks, and the command that shows the table.

pub mod command;

use std::time::Duration;

use plinth_core::jobs::Periodic;
use plinth_platform::error_chain;
use tokio_util::sync::CancellationToken;

/// The longest time between two looks at the clock. It is PostgreSQL's clock, and may be changed.
const MAX_CLOCK_INTERVAL: Duration = Duration::from_secs(30);

/// Enqueues the due tasks at every tick until `stop`. Each tick of a task makes one job, even if
/// several workers do this.
pub async fn run(periodic: Periodic, stop: CancellationToken) {
    loop {
        let wait = match periodic.ask().await {
            Ok(look) => {
                for task in look.asked {
                    tracing::info!(%task, "enqueued a periodic task");
                }
                look.next
                    .map_or(MAX_CLOCK_INTERVAL, |next| next.min(MAX_CLOCK_INTERVAL))
            }
            Err(error) => {
                tracing::warn!(
                    error = error_chain::format_error_chain(&error),
                    "failed to enqueue due periodic tasks"
                );
                MAX_CLOCK_INTERVAL
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
