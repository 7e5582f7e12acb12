//! The connection to Redis, and the breaker that keeps callers from waiting for a Redis that is away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError};

/// The pauses between probes grow from the first to the second of these.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One multiplexed connection.
///
/// A failure opens the breaker: commands are refused at once, and one task probes Redis on a fresh connection, which
/// takes the place of the old one when it answers. A connection that has gone silent is therefore never used again.
pub(super) struct Link {
    client: Client,
    timeout: Duration,
    connection: RwLock<ConnectionManager>,
    is_open: AtomicBool,
    outages: AtomicU64,
}

impl Link {
    pub(super) fn new(client: Client, timeout: Duration) -> Result<Self, RedisError> {
        let connection = RwLock::new(connect(&client, timeout)?);
        Ok(Self { client, timeout, connection, is_open: AtomicBool::new(false), outages: AtomicU64::new(0) })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns how long a command may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn connection(&self) -> ConnectionManager {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether commands are refused at once.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    pub(super) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Acquire)
    }

    /// Records that a command got no answer.
    pub(super) fn failed(this: &Arc<Self>) {
        this.outages.fetch_add(1, Ordering::AcqRel);
        if !this.is_open.swap(true, Ordering::AcqRel) {
            tokio::spawn(probe_until_answered(Arc::downgrade(this)));
        }
    }

    /// Replaces the connection by a fresh one if that answers.
    async fn renew(&self) -> bool {
        let Ok(mut fresh) = connect(&self.client, self.timeout) else { return false };
        let ping = ::redis::cmd("PING");
        let answer = tokio::time::timeout(self.timeout, ping.query_async::<()>(&mut fresh)).await;
        let answers = match answer {
            Err(_) => false,
            Ok(Ok(())) => true,
            // A Redis that refuses the command is there.
            Ok(Err(error)) => !is_outage(&error),
        };
        if answers {
            *self.connection.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        answers
    }
}

async fn probe_until_answered(link: Weak<Link>) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let Some(link) = link.upgrade() else { return };
        if link.renew().await {
            link.is_open.store(false, Ordering::Release);
            tracing::info!("Redis answers again");
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Returns whether the error means that Redis did not answer, rather than that it refused.
pub(super) fn is_outage(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

fn connect(client: &Client, timeout: Duration) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout))
        .set_number_of_retries(1)
        .set_max_delay(FIRST_PAUSE);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
