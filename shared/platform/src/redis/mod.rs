//! Redis: one multiplexed connection, a key prefix, and a breaker so that an outage costs one timeout, not one a request.

mod link;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::aio::ConnectionManager;
use ::redis::{Client, Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation};
use tracing::Instrument as _;

use self::link::{Link, Numbered};
use crate::settings::RedisSettings;
use crate::telemetry::metrics;

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
    link: Arc<Link>,
    prefix: Arc<str>,
}

impl Redis {
    /// Connects when first asked: a process starts, and says so, without its Redis.
    pub fn new(settings: &RedisSettings) -> Result<Self, RedisFailure> {
        let client = Client::open(settings.url.expose()).map_err(RedisFailure::Command)?;
        let link = Link::new(client, settings.timeout).map_err(RedisFailure::Command)?;
        Ok(Self {
            link: Arc::new(link),
            prefix: (*settings.prefix).into(),
        })
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
        self.link.client()
    }

    /// Returns how long a command may take.
    pub fn timeout(&self) -> Duration {
        self.link.timeout()
    }

    /// How often Redis did not answer: who has seen this number rise may have missed something.
    pub fn outages(&self) -> u64 {
        self.link.outages()
    }

    /// Runs a script under a constant name.
    pub async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisFailure> {
        self.guarded(name, |mut connection| async move {
            script.invoke_async(&mut connection).await
        })
        .await
    }

    /// Runs a command under a constant name.
    pub async fn command<T: FromRedisValue>(
        &self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<T, RedisFailure> {
        self.guarded(name, |mut connection| async move {
            command.query_async(&mut connection).await
        })
        .await
    }

    /// Runs a pipeline, one round trip, under a constant name.
    pub async fn pipe<T: FromRedisValue>(
        &self,
        name: &'static str,
        pipeline: &Pipeline,
    ) -> Result<T, RedisFailure> {
        self.guarded(name, |mut connection| async move {
            pipeline.query_async(&mut connection).await
        })
        .await
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), RedisFailure> {
        let mut pipeline = ::redis::pipe();
        pipeline.cmd("PING").ignore();
        self.pipe("ping", &pipeline).await
    }

    async fn guarded<T, F>(
        &self,
        name: &'static str,
        run: impl FnOnce(ConnectionManager) -> F,
    ) -> Result<T, RedisFailure>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        if self.link.is_open() {
            return Err(RedisFailure::Unavailable);
        }
        let span = tracing::debug_span!(
            "redis",
            otel.name = name,
            otel.kind = "client",
            db.system.name = "redis"
        );
        let start = Instant::now();
        let Numbered {
            connection,
            generation,
        } = self.link.current();
        let running = run(connection);
        let result = tokio::time::timeout(self.link.timeout(), running)
            .instrument(span)
            .await;
        let result = match result {
            Err(_) => Err(RedisFailure::Unavailable),
            Ok(Err(error)) if link::is_outage(&error) => {
                tracing::warn!(%error, command = name, "Redis does not answer");
                Err(RedisFailure::Unavailable)
            }
            Ok(other) => other.map_err(RedisFailure::Command),
        };
        if matches!(result, Err(RedisFailure::Unavailable)) {
            Link::failed(&self.link, generation);
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
