//! Builds the worker from its settings: the one place where everything meets.

use plinth_core::Stores;
use plinth_core::jobs::Ledger;
use plinth_domain::job::Queue;
use plinth_platform::settings::Settings;
use plinth_platform::{internal, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::handlers;

const SERVICE: &str = "plinth-worker";

/// Serves the queues, those of the settings where none are named, until the process is asked to stop.
pub async fn run(settings: Settings, queues: Vec<Queue>) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, &settings)?;
    let queues = distinct(if queues.is_empty() { settings.worker.queues.0.clone() } else { queues });
    anyhow::ensure!(!queues.is_empty(), "there is no queue to serve");
    let stores = Stores::new(&settings, SERVICE)?;
    let readiness = stores.readiness();
    let registry = handlers::all(&stores, &settings)?;

    let stop = CancellationToken::new();
    let gone = CancellationToken::new();
    let internal =
        internal::serve(settings.worker.internal_bind, readiness.clone(), gone.clone().cancelled_owned());
    let mut internal = tokio::spawn(internal);
    let queues = queues.into_iter().map(|queue| (queue, settings.worker.concurrency.count())).collect();
    let ledger = Ledger::new(&settings.database, SERVICE)?;
    let fleet = Fleet { stores, ledger, settings: settings.worker, queues, registry };
    let fleet = tokio::spawn(fleet.run(stop.clone()));
    tokio::select! {
        asked = shutdown::requested() => asked?,
        // Only a port that cannot be had ends it now.
        ended = &mut internal => ended??,
    }
    readiness.drain();
    stop.cancel();
    fleet.await?;
    // The port answers to the last: whoever asks is told "draining".
    gone.cancel();
    if !internal.is_finished() {
        internal.await??;
    }
    Ok(())
}

/// One clean-up; its report as a line of JSON.
pub async fn clean_up(settings: Settings) -> anyhow::Result<String> {
    let _telemetry = telemetry::init(SERVICE, &settings)?;
    let stores = Stores::new(&settings, SERVICE)?;
    crate::cleanup::expired::once(&stores, &settings).await
}

fn distinct(mut queues: Vec<Queue>) -> Vec<Queue> {
    queues.sort_unstable();
    queues.dedup();
    queues
}
