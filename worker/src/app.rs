//! Builds the worker from its settings: the one place where everything meets.

use clap::Args;
use plinth_core::jobs::Ledger;
use plinth_core::{Stores, readiness};
use plinth_domain::job::Queue;
use plinth_platform::internal::Readiness;
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
    let ledger = Ledger::new(&settings.database, SERVICE)?;
    let readiness = readiness(&stores, &settings, &ledger, &queues)?;
    let registry = handlers::all(&stores, &settings)?;

    let stop = CancellationToken::new();
    let gone = CancellationToken::new();
    let internal = internal::serve(
        settings.worker.internal_bind,
        readiness.clone(),
        gone.clone().cancelled_owned(),
    );
    let mut internal = tokio::spawn(internal);
    let fleet = Fleet {
        stores,
        ledger,
        settings: settings.worker,
        queues,
        registry,
    };
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

/// Only PostgreSQL and what is in it make the worker unready. The other stores that its queues use are named.
fn readiness(
    stores: &Stores,
    settings: &Settings,
    ledger: &Ledger,
    queues: &[(Queue, usize)],
) -> anyhow::Result<Readiness> {
    let serves = |wanted: fn(Queue) -> bool| queues.iter().any(|(queue, _)| wanted(*queue));
    let mut checks = ledger.recovering(readiness::of(stores, settings, SERVICE)?);
    if serves(needs_objects) {
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

/// Whether jobs of the queue read or remove what is in S3.
fn needs_objects(queue: Queue) -> bool {
    match queue {
        Queue::Files | Queue::Cleanup => true,
        Queue::Email | Queue::Notifications => false,
    }
}

/// Each queue once, with how many of its jobs run at once: as the command line says, the settings, or the default.
fn shares(settings: &WorkerSettings, run: Run) -> anyhow::Result<Vec<(Queue, usize)>> {
    let asked =
        List::<QueueConcurrency>::from_items(run.concurrency).map_err(anyhow::Error::msg)?;
    let mut queues = if run.queues.is_empty() {
        settings.queues.0.clone()
    } else {
        run.queues
    };
    queues.sort_unstable();
    queues.dedup();
    anyhow::ensure!(!queues.is_empty(), "there is no queue to serve");
    if let Some(stray) = asked.0.iter().find(|one| !queues.contains(&one.queue)) {
        anyhow::bail!("--concurrency names {}, which is not served", stray.queue);
    }
    let share = |queue: Queue| {
        let told = asked
            .0
            .iter()
            .chain(&settings.queue_concurrency.0)
            .find(|one| one.queue == queue);
        (
            queue,
            told.map_or(settings.concurrency.count(), |one| one.jobs.get()),
        )
    };
    Ok(queues.into_iter().map(share).collect())
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
            .map(|text| text.parse().expect("is read"))
            .collect();
        Run {
            queues: queues.to_vec(),
            concurrency,
        }
    }

    #[test]
    fn the_command_line_goes_before_the_queues_setting_and_that_before_the_default() {
        let settings = settings(&[
            ("PLINTH_WORKER_CONCURRENCY", "3"),
            ("PLINTH_WORKER_QUEUE_CONCURRENCY", "files=2,email=8"),
        ]);
        let queues = [Queue::Email, Queue::Files, Queue::Cleanup, Queue::Email];
        let shares = shares(&settings, run(&queues, &["email=16"])).expect("is sound");
        assert_eq!(
            shares,
            [(Queue::Email, 16), (Queue::Files, 2), (Queue::Cleanup, 3)]
        );
    }

    #[test]
    fn the_queues_are_those_of_the_settings_where_none_are_named() {
        let settings = settings(&[("PLINTH_WORKER_QUEUES", "files")]);
        assert_eq!(
            shares(&settings, run(&[], &[])).expect("is sound"),
            [(Queue::Files, 4)]
        );
    }

    #[test]
    fn a_command_line_that_cannot_be_meant_is_refused() {
        let settings = settings(&[]);
        assert!(
            shares(&settings, run(&[Queue::Email], &["files=2"])).is_err(),
            "files are not served"
        );
        assert!(
            shares(&settings, run(&[], &["files=2", "files=3"])).is_err(),
            "which of them?"
        );
    }
}
