//! Builds the worker from its settings: the one place where everything meets.

use clap::Args;
use plinth_core::Stores;
use plinth_domain::job::Queue;
use plinth_platform::settings::{List, QueueConcurrency, Settings, WorkerSettings};
use plinth_platform::{internal, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::handlers;

pub(crate) const SERVICE: &str = "plinth-worker";

/// What the command line of `run` can say.
#[derive(Debug, Args)]
pub struct Run {
    /// The queues to serve, separated by commas: email, files, notifications, cleanup [default: `PLINTH_WORKER_QUEUES`]
    #[arg(long, value_delimiter = ',')]
    queues: Vec<Queue>,
    /// Jobs of a queue that run at once, like files=2,email=16 [default: `PLINTH_WORKER_QUEUE_CONCURRENCY`, then
    /// `PLINTH_WORKER_CONCURRENCY`]
    #[arg(long, value_delimiter = ',', value_name = "QUEUE=JOBS")]
    concurrency: Vec<QueueConcurrency>,
}

/// Serves the queues, those of the settings where none are named, until the process is asked to stop.
pub async fn run(settings: Settings, run: Run) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, &settings)?;
    let queues = shares(&settings.worker, run)?;
    let stores = Stores::new(&settings, SERVICE)?;
    let readiness = stores.readiness();
    let registry = handlers::all(&stores, &settings)?;

    let stop = CancellationToken::new();
    let gone = CancellationToken::new();
    let internal =
        internal::serve(settings.worker.internal_bind, readiness.clone(), gone.clone().cancelled_owned());
    let mut internal = tokio::spawn(internal);
    let fleet = Fleet { stores, settings: settings.worker, queues, registry };
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

/// Each queue once, with how many of its jobs run at once: as the command line says, the settings, or the default.
fn shares(settings: &WorkerSettings, run: Run) -> anyhow::Result<Vec<(Queue, usize)>> {
    let asked = List::<QueueConcurrency>::checked(run.concurrency).map_err(anyhow::Error::msg)?;
    let mut queues = if run.queues.is_empty() { settings.queues.0.clone() } else { run.queues };
    queues.sort_unstable();
    queues.dedup();
    anyhow::ensure!(!queues.is_empty(), "there is no queue to serve");
    if let Some(stray) = asked.0.iter().find(|one| !queues.contains(&one.queue)) {
        anyhow::bail!("--concurrency names {}, which is not served", stray.queue);
    }
    let share = |queue: Queue| {
        let told = asked.0.iter().chain(&settings.queue_concurrency.0).find(|one| one.queue == queue);
        (queue, told.map_or(settings.concurrency.count(), |one| one.jobs.get()))
    };
    Ok(queues.into_iter().map(share).collect())
}
