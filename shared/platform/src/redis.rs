//! Redis: one multiplexed connection, a key prefix, and a breaker so that an outage costs one timeout, not one a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation};
use tracing::Instrument as _;

use crate::settings::RedisSettings;
use crate::telemetry::metrics;

/// After a failure Redis is left alone for so long.
const REST: Duration = Duration::from_millis(500);

/// Why Redis did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RedisFailure {
    #[error("Redis does not answer")]
    Unavailable,
    #[error("Redis refused a command: {0}")]
    Command(#[source] RedisError),
}

/// The connection of this process. Clones share it.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    client: Client,
    prefix: Arc<str>,
    timeout: Duration,
    breaker: Arc<Breaker>,
}

struct Breaker {
    started: Instant,
    resting_until_ms: AtomicU64,
    outages: AtomicU64,
}

impl Redis {
    /// Connects when first asked: a process starts, and says that it is not ready, without its Redis.
    pub fn new(settings: &RedisSettings) -> Result<Self, RedisFailure> {
        let client = Client::open(settings.url.expose()).map_err(RedisFailure::Command)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout))
            .set_number_of_retries(1)
            .set_max_delay(REST);
        let connection =
            ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(RedisFailure::Command)?;
        let breaker = Arc::new(Breaker {
            started: Instant::now(),
            resting_until_ms: AtomicU64::new(0),
            outages: AtomicU64::new(0),
        });
        Ok(Self { connection, client, prefix: (*settings.prefix).into(), timeout: settings.timeout, breaker })
    }

    /// The full name of a key.
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// What every key of this deployment begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The client, for who needs a connection of his own: one that waits for an answer.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How often Redis did not answer: who has seen this number rise may have missed something.
    pub fn outages(&self) -> u64 {
        self.breaker.outages.load(Ordering::Acquire)
    }

    /// Runs a script under a constant name.
    pub async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisFailure> {
        let mut connection = self.connection.clone();
        self.guarded(name, async move { script.invoke_async(&mut connection).await }).await
    }

    /// Runs a command under a constant name.
    pub async fn command<T: FromRedisValue>(
        &self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<T, RedisFailure> {
        let mut connection = self.connection.clone();
        self.guarded(name, async move { command.query_async(&mut connection).await }).await
    }

    /// Runs a pipeline, one round trip, under a constant name.
    pub async fn pipe<T: FromRedisValue>(
        &self,
        name: &'static str,
        pipeline: &Pipeline,
    ) -> Result<T, RedisFailure> {
        let mut connection = self.connection.clone();
        self.guarded(name, async move { pipeline.query_async(&mut connection).await }).await
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), RedisFailure> {
        let mut pipeline = ::redis::pipe();
        pipeline.cmd("PING").ignore();
        self.pipe("ping", &pipeline).await
    }

    async fn guarded<T>(
        &self,
        name: &'static str,
        run: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, RedisFailure> {
        if self.breaker.is_resting() {
            return Err(RedisFailure::Unavailable);
        }
        let span =
            tracing::debug_span!("redis", otel.name = name, otel.kind = "client", db.system.name = "redis");
        let start = Instant::now();
        let result = tokio::time::timeout(self.timeout, run).instrument(span).await;
        let result = match result {
            Err(_) => Err(RedisFailure::Unavailable),
            Ok(Err(error)) if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
                tracing::warn!(%error, command = name, "Redis does not answer");
                Err(RedisFailure::Unavailable)
            }
            Ok(other) => other.map_err(RedisFailure::Command),
        };
        if matches!(result, Err(RedisFailure::Unavailable)) {
            self.breaker.rest();
        }
        metrics::observe_store("redis", name, result.is_ok(), start.elapsed());
        result
    }
}

impl Breaker {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_resting(&self) -> bool {
        self.now_ms() < self.resting_until_ms.load(Ordering::Relaxed)
    }

    fn rest(&self) {
        self.outages.fetch_add(1, Ordering::AcqRel);
        let until = self.now_ms() + u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
        self.resting_until_ms.store(until, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
