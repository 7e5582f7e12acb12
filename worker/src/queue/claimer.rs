//! Takes the messages of a queue from its ready set and claims their jobs in groups.

use std::sync::Arc;
use std::time::Duration;

use plinth_core::jobs::{Ledger, Transport, parse_message};
use plinth_domain::id::JobId;
use plinth_domain::job::Queue;
use plinth_platform::error_chain;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::backend::LeasedJob;
use super::claim_limiter::ClaimLimiter;
use crate::dispatcher::RefillRequests;
use crate::leases::Leases;
use crate::{backoff, metrics};

/// Under load, jobs that come within this time are claimed in one commit.
const CLAIM_BATCH_WINDOW: Duration = Duration::from_millis(4);

/// A batch of this size is claimed at once, without waiting for more jobs.
const CLAIM_BATCH_SIZE: usize = 100;

/// How long Redis blocks the command for the next message of an empty ready set.
const BLOCKING_POP_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout of a new connection. A blocking command that takes this much longer than its own
/// timeout means that the connection is dead.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The task that claims the jobs of one queue for this process.
pub(super) struct Claimer {
    pub(super) queue: Queue,
    pub(super) worker_name: Arc<str>,
    pub(super) leases: Leases,
    pub(super) ledger: Ledger,
    pub(super) transport: Transport,
    pub(super) client: Client,
    pub(super) limiter: Arc<ClaimLimiter>,
    pub(super) refill_requests: RefillRequests,
    pub(super) claimed: UnboundedSender<LeasedJob>,
}

impl Claimer {
    /// Claims jobs until `stop`. Retries forever with backoff while Redis is unavailable.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut blocking_connection = None;
        let mut failures = 0;
        let mut claimed_at = None;
        // Only the wait for messages is cancelled. A claim that was sent may be granted, so its
        // answer must be read.
        while let Some(jobs) = stop
            .run_until_cancelled(self.next_batch(
                &mut blocking_connection,
                &mut failures,
                claimed_at,
            ))
            .await
        {
            self.claim(&jobs, &stop).await;
            claimed_at = Some(Instant::now());
        }
    }

    /// Waits for the next jobs to claim, at most as many as the queue has capacity for.
    async fn next_batch(
        &self,
        blocking_connection: &mut Option<MultiplexedConnection>,
        failures: &mut u32,
        claimed_at: Option<Instant>,
    ) -> Vec<JobId> {
        loop {
            let capacity = self.limiter.wait_for_capacity().await;
            match self.take_messages(capacity, blocking_connection).await {
                Ok(jobs) => {
                    *failures = 0;
                    if !jobs.is_empty() {
                        return self.fill_batch(jobs, capacity, claimed_at).await;
                    }
                }
                Err(error) => {
                    *blocking_connection = None;
                    *failures += 1;
                    let wait = backoff::STORE_RETRY.random_wait(*failures);
                    metrics::count_read_failure(self.queue);
                    tracing::warn!(queue = %self.queue, error, ?wait, "queue read failed, retrying");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Takes the messages of the ready set. If it is empty, waits for the next one.
    async fn take_messages(
        &self,
        capacity: usize,
        blocking_connection: &mut Option<MultiplexedConnection>,
    ) -> Result<Vec<JobId>, String> {
        let popped = self
            .transport
            .pop(self.queue, capacity)
            .await
            .map_err(|error| error_chain::format_error_chain(&error))?;
        if popped.needs_refill {
            self.refill_requests.request(self.queue);
        }
        if !popped.jobs.is_empty() {
            return Ok(popped.jobs);
        }
        self.wait_for_message(blocking_connection)
            .await
            .map(Vec::from_iter)
            .map_err(|error| error.to_string())
    }

    /// Adds the jobs that come within the batch window since the last claim. The first job after an
    /// idle time does not wait.
    async fn fill_batch(
        &self,
        mut jobs: Vec<JobId>,
        capacity: usize,
        claimed_at: Option<Instant>,
    ) -> Vec<JobId> {
        let Some(until) = claimed_at
            .map(|at| at + CLAIM_BATCH_WINDOW)
            .filter(|until| *until > Instant::now())
        else {
            return jobs;
        };
        if jobs.len() < capacity.min(CLAIM_BATCH_SIZE) {
            tokio::time::sleep_until(until).await;
            // After an error the next read takes them.
            if let Ok(more) = self.transport.pop(self.queue, capacity - jobs.len()).await {
                jobs.extend(more.jobs);
            }
        }
        jobs
    }

    /// Waits for a message. It needs its own connection, because a blocking command delays all
    /// later commands of its connection.
    async fn wait_for_message(
        &self,
        blocking_connection: &mut Option<MultiplexedConnection>,
    ) -> RedisResult<Option<JobId>> {
        let connection = match blocking_connection {
            Some(connection) => connection,
            None => blocking_connection.insert(connect(&self.client).await?),
        };
        let mut command = redis::cmd("BZPOPMIN");
        command
            .arg(self.transport.ready_set_key(self.queue))
            .arg(BLOCKING_POP_TIMEOUT.as_secs());
        let answer = timeout(
            BLOCKING_POP_TIMEOUT + CONNECTION_TIMEOUT,
            command.query_async(connection),
        )
        .await;
        let message: Option<(String, String, f64)> = answer.map_err(|_| timed_out())??;
        Ok(message.and_then(|(_, job, _)| parse_message(&job)))
    }

    /// Claims the jobs that are due. While the ledger is unavailable it retries, and takes no more
    /// messages. It does not retry after `stop`.
    async fn claim(&self, jobs: &[JobId], stop: &CancellationToken) {
        for failures in 1.. {
            let requested_at = Instant::now();
            match self
                .ledger
                .claim(jobs, &self.worker_name, self.leases.length())
                .await
            {
                Ok(claimed) => {
                    let not_due = jobs.len() - claimed.len();
                    metrics::count_deliveries(self.queue, metrics::CLAIMED, claimed.len());
                    metrics::count_deliveries(self.queue, metrics::NOT_DUE, not_due);
                    self.limiter.count_claimed(claimed.len());
                    for job in claimed {
                        metrics::observe_wait(self.queue, job.waited);
                        // The lease is renewed from now on, because the job may wait for a permit
                        // for longer than expected.
                        let expires_at = requested_at + self.leases.length();
                        let lease = self.leases.add(job.claim, expires_at);
                        // The receiver is gone only if the process ends. Then the lease expires.
                        let _ = self.claimed.send(LeasedJob { job, lease });
                    }
                    return;
                }
                Err(error) => {
                    let wait = backoff::STORE_RETRY.random_wait(failures);
                    tracing::warn!(queue = %self.queue, %error, ?wait, "claim failed, retrying");
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
    // No response timeout: the caller bounds blocking commands.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTION_TIMEOUT))
        .set_response_timeout(None);
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
