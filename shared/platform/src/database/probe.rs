//! A connection outside of every pool, for the probes of an orchestrator.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use super::session;
use crate::settings::DatabaseSettings;

/// How long a kept connection may take to answer before a new one is opened.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

/// The connection. A pool that is busy says nothing about whether PostgreSQL answers.
pub struct Probe {
    options: PgConnectOptions,
    kept: Mutex<Option<PgConnection>>,
}

impl Probe {
    /// Connects when it is first used.
    pub fn new(settings: &DatabaseSettings, application: &str) -> sqlx::Result<Self> {
        Ok(Self {
            options: session::options(settings, application)?,
            kept: Mutex::new(None),
        })
    }

    /// Runs `ask` on a connection that answers. The caller bounds the time.
    pub async fn run<T>(
        &self,
        ask: impl FnOnce(&mut PgConnection) -> BoxFuture<'_, sqlx::Result<T>> + Send,
    ) -> sqlx::Result<T> {
        let mut kept = self.kept.lock().await;
        // Taken out: a caller that gives up drops the connection with its unread answer.
        let mut connection = match live(kept.take()).await {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        let answer = ask(&mut connection).await;
        if answer.is_ok() {
            *kept = Some(connection);
        }
        answer
    }
}

async fn live(kept: Option<PgConnection>) -> Option<PgConnection> {
    let mut connection = kept?;
    let answers = tokio::time::timeout(PING_TIMEOUT, connection.ping()).await;
    matches!(answers, Ok(Ok(()))).then_some(connection)
}
