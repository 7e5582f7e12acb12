//! A connection outside every pool, for readiness and liveness probes.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use super::session;
use crate::settings::DatabaseSettings;

/// How long the existing connection may take to answer before a new one is opened.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

/// A dedicated connection for probes: a busy pool would not show whether PostgreSQL answers.
pub struct Probe {
    options: PgConnectOptions,
    cached: Mutex<Option<PgConnection>>,
}

impl Probe {
    /// Creates a probe that connects on first use.
    pub fn new(settings: &DatabaseSettings, application: &str) -> sqlx::Result<Self> {
        Ok(Self {
            options: session::options(settings, application)?,
            cached: Mutex::new(None),
        })
    }

    /// Runs `check` on a connection that answers. The caller must limit the time.
    pub async fn run<T>(
        &self,
        check: impl FnOnce(&mut PgConnection) -> BoxFuture<'_, sqlx::Result<T>> + Send,
    ) -> sqlx::Result<T> {
        let mut cached = self.cached.lock().await;
        // Taken out of the cache: if the caller cancels, the connection is dropped with its unread
        // answer.
        let mut connection = match if_alive(cached.take()).await {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        let answer = check(&mut connection).await;
        if answer.is_ok() {
            *cached = Some(connection);
        }
        answer
    }
}

async fn if_alive(cached: Option<PgConnection>) -> Option<PgConnection> {
    let mut connection = cached?;
    let answers = tokio::time::timeout(PING_TIMEOUT, connection.ping()).await;
    matches!(answers, Ok(Ok(()))).then_some(connection)
}
