//! Builds the worker from its settings.

use clap::Args;
use plinth_core::jobs::Ledger;
use plinth_core::{Stores, readiness};
use plinth_domain::job::Queue;
use plinth_platform::internal::Readiness;
use plinth_platform::settings::{List, QueueConcurrency, Settings, WorkerSettings};
use plinth_platform::{internal, shutdown, telemetry};
use tokio_util::sync::CancellationToken;

use crate::handlers;
use crate::supervisor::Supervisor;

pub(crate) const SERVICE: &str = "plinth-worker";

/// The arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The queues to serve, separated by commas: email, files, notifications, cleanup [default:
    /// `PLINTH_WORKER_QUEUES`]
    #[arg(long, value_delimiter = ',')]
    queues: Vec<Queue>,
    /// The number of jobs of a queue that run at once, like files=2,email=16 [default:
    /// `PLINTH_WORKER_QUEUE_CONCURRENCY`, then `PLINTH_WORKER_CONCURRENCY`]
    #[arg(long, value_delimiter = ',', value_name = "QUEUE=JOBS")]
    concurrency: Vec<QueueConcurrency>,
}

/// Serves the queues until SIGTERM or SIGINT.
///
/// # Errors
/// An argument or a setting is invalid, or the port for metrics and probes cannot be bound.
pub async fn run(settings: Settings, run: Run) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(SERVICE, &settings)?;
    let queues = queue_concurrency(&settings.worker, run)?;
    let stores = Stores::new(&settings, SERVICE)?;
    let ledger = Ledger::new(&settings.database, SERVICE)?;
    let readiness = readiness(&stores, &settings, &ledger, &queues)?;
    let registry = handlers::all(&stores, &settings)?;

    let stop = CancellationToken::new();
    let drained = CancellationToken::new();
    let internal = internal::serve(
        settings.worker.internal_bind,
        readiness.clone(),
        drained.clone().cancelled_owned(),
    );
    let mut internal = tokio::spawn(internal);
    let supervisor = Supervisor {
        stores,
        ledger,
        settings: settings.worker,
        queues,
        registry,
    };
    let supervisor = tokio::spawn(supervisor.run(stop.clone()));
    tokio::select! {
        requested = shutdown::requested() => requested?,
        // Before the drain, the server ends only if it cannot bind its port.
        ended = &mut internal => ended??,
    }
    readiness.drain();
    stop.cancel();
    supervisor.await?;
    // The probes answer "draining" until the end.
    drained.cancel();
    if !internal.is_finished() {
        internal.await??;
    }
    Ok(())
}

/// Returns the readiness checks. Only PostgreSQL, its schema and its data make the worker unready.
/// The other stores that the served queues use are reported, but never make the worker unready.
fn readiness(
    stores: &Stores,
    settings: &Settings,
    ledger: &Ledger,
    queues: &[(Queue, usize)],
) -> anyhow::Result<Readiness> {
    let serves = |condition: fn(Queue) -> bool| queues.iter().any(|(queue, _)| condition(*queue));
    let mut checks = ledger.recovering(readiness::of(stores, settings, SERVICE)?);
    if serves(needs_object_store) {
        checks = readiness::asking_objects(checks, stores);
    }
    let clamd = stores
        .antivirus
        .clamd()
        .filter(|_| serves(|queue| queue == Queue::Files))
        .cloned();
    let Some(clamd) = clamd else {
        return Ok(checks.with_status("antivirus", stores.antivirus.status()));
    };
    Ok(checks.with_informational_check("antivirus", move || {
        let clamd = clamd.clone();
        async move { clamd.ping().await }
    }))
}

/// Returns whether jobs of the queue read or remove objects in S3.
fn needs_object_store(queue: Queue) -> bool {
    match queue {
        Queue::Files | Queue::Cleanup => true,
        Queue::Email | Queue::Notifications => false,
    }
}

/// Returns each served queue once, with the number of its jobs that run at once. The command line
/// takes precedence over the setting of the queue, and that over the default.
fn queue_concurrency(settings: &WorkerSettings, run: Run) -> anyhow::Result<Vec<(Queue, usize)>> {
    let arguments =
        List::<QueueConcurrency>::from_items(run.concurrency).map_err(anyhow::Error::msg)?;
    let mut queues = if run.queues.is_empty() {
        settings.queues.0.clone()
    } else {
        run.queues
    };
    queues.sort_unstable();
    queues.dedup();
    anyhow::ensure!(!queues.is_empty(), "no queue to serve");
    let unserved = arguments
        .0
        .iter()
        .find(|entry| !queues.contains(&entry.queue));
    if let Some(entry) = unserved {
        anyhow::bail!("--concurrency names {}, which is not served", entry.queue);
    }
    let with_concurrency = |queue: Queue| {
        let entry = arguments
            .0
            .iter()
            .chain(&settings.queue_concurrency.0)
            .find(|entry| entry.queue == queue);
        (
            queue,
            entry.map_or(settings.concurrency.count(), |entry| entry.jobs.get()),
        )
    };
    Ok(queues.into_iter().map(with_concurrency).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(changes: &[(&str, &str)]) -> WorkerSettings {
        let needed = [
            (
                "PLINTH_SECRET_KEY",
                "dGVzdHMgaGF2ZSBhIHJvb3Qga2V5IHRoYXQgaXMgbm8gc2VjcmV0",
            ),
            ("PLINTH_DATABASE_URL", "postgres://plinth@localhost/plinth"),
            ("PLINTH_REDIS_URL", "redis://localhost"),
            ("PLINTH_S3_ACCESS_KEY_ID", "plinth"),
            ("PLINTH_S3_SECRET_ACCESS_KEY", "plinth"),
            ("PLINTH_SMTP_URL", "smtp://localhost"),
        ];
        let variables = needed
            .iter()
            .chain(changes)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::from_env(variables)
            .expect("the settings are valid")
            .worker
    }

    fn run(queues: &[Queue], concurrency: &[&str]) -> Run {
        let concurrency = concurrency
            .iter()
            .map(|text| text.parse().expect("valid"))
            .collect();
        Run {
            queues: queues.to_vec(),
            concurrency,
        }
    }

    #[test]
    fn the_command_line_takes_precedence_over_the_queue_setting_and_that_over_the_default() {
        let settings = settings(&[
            ("PLINTH_WORKER_CONCURRENCY", "3"),
            ("PLINTH_WORKER_QUEUE_CONCURRENCY", "files=2,email=8"),
        ]);
        let queues = [Queue::Email, Queue::Files, Queue::Cleanup, Queue::Email];
        assert_eq!(
            queue_concurrency(&settings, run(&queues, &["email=16"])).expect("valid"),
            [(Queue::Email, 16), (Queue::Files, 2), (Queue::Cleanup, 3)]
        );
    }

    #[test]
    fn without_arguments_the_queues_are_those_of_the_settings() {
        let settings = settings(&[("PLINTH_WORKER_QUEUES", "files")]);
        assert_eq!(
            queue_concurrency(&settings, run(&[], &[])).expect("valid"),
            [(Queue::Files, 4)]
        );
    }

    #[test]
    fn a_contradictory_command_line_is_refused() {
        let settings = settings(&[]);
        assert!(
            queue_concurrency(&settings, run(&[Queue::Email], &["files=2"])).is_err(),
            "the queue files is not served"
        );
        assert!(
            queue_concurrency(&settings, run(&[], &["files=2", "files=3"])).is_err(),
            "two values for one queue"
        );
    }
}
