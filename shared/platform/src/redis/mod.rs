//! Redis: one multiplexed connection, a key prefix, and a circuit breaker, so that an outage costs
//! one timeout instead of one per request.

mod connection;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::aio::ConnectionManager;
use ::redis::{Client, Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation};
use tracing::Instrument as _;

use self::connection::{GuardedConnection, NumberedConnection};
use crate::settings::RedisSettings;
use crate::telemetry::metrics;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum RedisFailure {
    #[error("Redis is unavailable")]
    Unavailable,
    #[error("Redis returned an error: {0}")]
    Command(#[source] RedisError),
}

/// The connection of this process to Redis. Clones share it.
#[derive(Clone)]
pub struct Redis {
    connection: Arc<GuardedConnection>,
    prefix: Arc<str>,
}

impl Redis {
    /// Creates a client that connects on first use, so that a process starts, and reports that it
    /// is not ready, while Redis is down.
    pub fn new(settings: &RedisSettings) -> Result<Self, RedisFailure> {
        let client = Client::open(settings.url.expose()).map_err(RedisFailure::Command)?;
        let connection =
            GuardedConnection::new(client, settings.timeout).map_err(RedisFailure::Command)?;
        Ok(Self {
            connection: Arc::new(connection),
            prefix: (*settings.prefix).into(),
        })
    }

    /// Returns the full name of a key, with the deployment's prefix.
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// Returns the prefix of every key of this deployment.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the client, for a caller that needs its own connection for blocking commands.
    pub fn client(&self) -> &Client {
        self.connection.client()
    }

    /// Returns the timeout of a command.
    pub fn timeout(&self) -> Duration {
        self.connection.timeout()
    }

    /// Returns the number of commands that Redis did not answer. A caller that sees the number rise
    /// may have missed a change.
    pub fn outages(&self) -> u64 {
        self.connection.outages()
    }

    /// Runs a script. Traces and metrics show `name`.
    pub async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisFailure> {
        self.run_guarded(name, |mut connection| async move {
            script.invoke_async(&mut connection).await
        })
        .await
    }

    /// Runs a command. Traces and metrics show `name`.
    pub async fn command<T: FromRedisValue>(
        &self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<T, RedisFailure> {
        self.run_guarded(name, |mut connection| async move {
            command.query_async(&mut connection).await
        })
        .await
    }

    /// Runs a pipeline in one round trip. Traces and metrics show `name`.
    pub async fn pipe<T: FromRedisValue>(
        &self,
        name: &'static str,
        pipeline: &Pipeline,
    ) -> Result<T, RedisFailure> {
        self.run_guarded(name, |mut connection| async move {
            pipeline.query_async(&mut connection).await
        })
        .await
    }

    /// Checks that Redis answers.
    pub async fn ping(&self) -> Result<(), RedisFailure> {
        let mut pipeline = ::redis::pipe();
        pipeline.cmd("PING").ignore();
        self.pipe("ping", &pipeline).await
    }

    async fn run_guarded<T, F>(
        &self,
        name: &'static str,
        run: impl FnOnce(ConnectionManager) -> F,
    ) -> Result<T, RedisFailure>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        if self.connection.is_open() {
            return Err(RedisFailure::Unavailable);
        }
        let span = tracing::debug_span!(
            "redis",
            otel.name = name,
            otel.kind = "client",
            db.system.name = "redis"
        );
        let start = Instant::now();
        let NumberedConnection {
            connection,
            generation,
        } = self.connection.current();
        let running = run(connection);
        let result = tokio::time::timeout(self.connection.timeout(), running)
            .instrument(span)
            .await;
        let result = match result {
            Err(_) => Err(RedisFailure::Unavailable),
            Ok(Err(error)) if connection::is_outage(&error) => {
                tracing::warn!(%error, command = name, "Redis command got no reply");
                Err(RedisFailure::Unavailable)
            }
            Ok(other) => other.map_err(RedisFailure::Command),
        };
        if matches!(result, Err(RedisFailure::Unavailable)) {
            GuardedConnection::record_failure(&self.connection, generation);
        }
        metrics::observe_store("redis", name, result.is_ok(), start.elapsed());
        result
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
