//! Takes notes from a queue's window and claims the jobs that they name, as many at once as there is room for.

use std::sync::Arc;
use std::time::Duration;

use plinth_core::jobs::{Ledger, Transport, read_note};
use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::error_chain;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::backend::Held;
use super::pace::Pace;
use crate::dispatcher::Refills;
use crate::leases::Leases;
use crate::{backoff, metrics};

/// While jobs come one after the other, those of so long are claimed together: a commit is worth waiting for.
const GATHER: Duration = Duration::from_millis(4);

/// So many are worth a commit of their own.
const ENOUGH: usize = 100;

/// How long Redis holds a question for the next note of an empty window.
const LISTEN: Duration = Duration::from_secs(5);

/// How much longer its answer may take before the connection counts as dead.
const PATIENCE: Duration = Duration::from_secs(5);

/// What feeds one queue of this process.
pub(super) struct Source {
    pub(super) queue: Queue,
    pub(super) owner: Arc<str>,
    pub(super) leases: Leases,
    pub(super) ledger: Ledger,
    pub(super) transport: Transport,
    pub(super) client: Client,
    pub(super) pace: Arc<Pace>,
    pub(super) refills: Refills,
    pub(super) claims: UnboundedSender<Held>,
}

impl Source {
    /// Feeds until `stop`. A Redis that does not answer is asked again with backoff, for ever.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ear = None;
        let mut failures = 0;
        let mut claimed_at = None;
        // Only the wait for notes is broken off: a claim that was sent may be granted, and must be heard of.
        while let Some(jobs) = stop
            .run_until_cancelled(self.next(&mut ear, &mut failures, claimed_at))
            .await
        {
            self.claim(&jobs, &stop).await;
            claimed_at = Some(Instant::now());
        }
    }

    /// The next jobs to claim, as many as there is room for.
    async fn next(
        &self,
        ear: &mut Option<MultiplexedConnection>,
        failures: &mut u32,
        claimed_at: Option<Instant>,
    ) -> Vec<JobId> {
        loop {
            let room = self.pace.room().await;
            match self.take(room, ear).await {
                Ok(jobs) => {
                    *failures = 0;
                    if !jobs.is_empty() {
                        return self.gather(jobs, room, claimed_at).await;
                    }
                }
                Err(error) => {
                    *ear = None;
                    *failures += 1;
                    let wait = backoff::STORE.draw(*failures);
                    metrics::source_failed(self.queue);
                    tracing::warn!(queue = %self.queue, error, ?wait, "Redis gives no notes; it is asked again");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// The next notes: those that wait, or else the first that comes.
    async fn take(
        &self,
        room: usize,
        ear: &mut Option<MultiplexedConnection>,
    ) -> Result<Vec<JobId>, String> {
        let popped = self
            .transport
            .pop(self.queue, room)
            .await
            .map_err(|error| error_chain::format_error_chain(&error))?;
        if popped.wants_more {
            self.refills.ask(self.queue);
        }
        if !popped.jobs.is_empty() {
            return Ok(popped.jobs);
        }
        self.listen(ear)
            .await
            .map(Vec::from_iter)
            .map_err(|error| error.to_string())
    }

    /// Adds what comes within a moment, where the last claim was just now. The first job after a silence waits for nobody.
    async fn gather(
        &self,
        mut jobs: Vec<JobId>,
        room: usize,
        claimed_at: Option<Instant>,
    ) -> Vec<JobId> {
        let Some(until) = claimed_at
            .map(|at| at + GATHER)
            .filter(|until| *until > Instant::now())
        else {
            return jobs;
        };
        if jobs.len() < room.min(ENOUGH) {
            tokio::time::sleep_until(until).await;
            // What cannot be had now is had the next time.
            if let Ok(more) = self.transport.pop(self.queue, room - jobs.len()).await {
                jobs.extend(more.jobs);
            }
        }
        jobs
    }

    /// Waits for a note on a connection of its own: others would wait behind it.
    async fn listen(&self, ear: &mut Option<MultiplexedConnection>) -> RedisResult<Option<JobId>> {
        let connection = match ear {
            Some(connection) => connection,
            None => ear.insert(connect(&self.client).await?),
        };
        let mut command = redis::cmd("BZPOPMIN");
        command
            .arg(self.transport.window(self.queue))
            .arg(LISTEN.as_secs());
        let answer = timeout(LISTEN + PATIENCE, command.query_async(connection)).await;
        let note: Option<(String, String, f64)> = answer.map_err(|_| silence())??;
        Ok(note.and_then(|(_, job, _)| read_note(&job)))
    }

    /// Claims what is due of the jobs. While the ledger does not answer they are kept, and nothing more is taken. After
    /// `stop` it is not asked again.
    async fn claim(&self, jobs: &[JobId], stop: &CancellationToken) {
        for failures in 1.. {
            let asked = Instant::now();
            match self
                .ledger
                .claim(jobs, &self.owner, self.leases.length())
                .await
            {
                Ok(claimed) => {
                    metrics::delivered(self.queue, metrics::CLAIMED, claimed.len());
                    metrics::delivered(self.queue, metrics::NOT_DUE, jobs.len() - claimed.len());
                    self.pace.claimed(claimed.len());
                    for job in claimed {
                        metrics::waited(self.queue, job.waited);
                        // From now on, since it may wait for a slot for longer than was thought.
                        let lease = self.leases.hold(job.claim, asked + self.leases.length());
                        // Nobody listens any more only when the process ends; the lease gives the job back.
                        let _ = self.claims.send(Held { job, lease });
                    }
                    return;
                }
                Err(error) => {
                    let wait = backoff::STORE.draw(failures);
                    tracing::warn!(queue = %self.queue, %error, ?wait, "the ledger does not answer a claim");
                    if stop
                        .run_until_cancelled(tokio::time::sleep(wait))
                        .await
                        .is_none()
                    {
                        return;
                    }
                }
            }
        }
    }
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    // The answer to a question that waits has no bound of its own.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(None);
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

fn silence() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
