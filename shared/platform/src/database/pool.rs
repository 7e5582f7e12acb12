//! The pool of connections to PostgreSQL.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{AssertSqlSafe, Connection as _, Describe, Either, Execute, Executor, Postgres, SqlStr};

use super::availability::{self, Availability};
use super::connection::{Connection, Transaction};
use super::nesting::{self, OpenTransaction};
use super::{deadline, session};
use crate::settings::DatabaseSettings;

/// If a caller waits longer than this for a connection, a probe checks whether PostgreSQL is
/// reachable.
const PROBE_AFTER: Duration = Duration::from_millis(250);

/// How long an idle connection may take to answer before a caller gets it.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// A pool of connections to PostgreSQL. Clones share it.
///
/// Each connection frees its slot within a bounded time after the server stops answering, and while
/// the server is unreachable, requests fail at once.
#[derive(Clone)]
pub struct PgPool {
    inner: sqlx::PgPool,
    options: Arc<PgConnectOptions>,
    availability: Arc<Availability>,
}

impl PgPool {
    /// Creates a pool that connects on first use. `session` lists additional settings of each new
    /// session.
    pub(super) fn lazy(
        settings: &DatabaseSettings,
        application: &str,
        max_connections: u32,
        session: &[(&str, &str)],
    ) -> sqlx::Result<Self> {
        deadline::set(settings.statement_timeout);
        let options = session::options(settings, application)?;
        let setup: Arc<str> = session::setup(settings, session).into();
        let inner = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(settings.acquire_timeout)
            // sqlx's ping has no timeout; the one below has.
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(ping(connection)))
            .after_connect(move |connection, _: PoolConnectionMetadata| {
                let setup = setup.clone();
                Box::pin(async move {
                    let setup = sqlx::raw_sql(AssertSqlSafe(setup.to_string()));
                    deadline::within(connection.execute(setup)).await.map(drop)
                })
            })
            .connect_lazy_with(options.clone());
        Ok(Self {
            inner,
            options: Arc::new(options),
            availability: Arc::default(),
        })
    }

    /// Returns a connection that answers.
    ///
    /// # Errors
    ///
    /// Fails at once while PostgreSQL is unreachable, and after the acquire timeout if every
    /// connection stays in use.
    ///
    /// # Panics
    ///
    /// Panics in debug builds if the task has an open transaction on this pool.
    pub async fn acquire(&self) -> sqlx::Result<Connection> {
        nesting::refuse_second_connection(self.address());
        if !self.availability.is_reachable() {
            return Err(availability::unreachable_error());
        }
        let acquired = self.acquire_while_reachable().await;
        match acquired {
            Ok(connection) => {
                self.availability.record_success();
                Ok(connection)
            }
            Err(error) => {
                self.availability.record_failure();
                Availability::start_probe(&self.availability, &self.options);
                Err(error)
            }
        }
    }

    async fn acquire_while_reachable(&self) -> sqlx::Result<Connection> {
        let mut acquiring = pin!(self.inner.acquire());
        loop {
            tokio::select! {
                biased;
                acquired = &mut acquiring => return acquired.map(Connection::new),
                () = self.availability.wait_until_unreachable() => return Err(availability::unreachable_error()),
                () = tokio::time::sleep(PROBE_AFTER) => Availability::start_probe(&self.availability, &self.options),
            }
        }
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> sqlx::Result<Transaction> {
        let connection = self.acquire().await?;
        Transaction::begin(connection, OpenTransaction::mark(self.address())).await
    }

    /// Returns an address that identifies the pool. Clones have the same one.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.availability).addr()
    }

    /// Returns whether every acquire has failed for `min_duration` although PostgreSQL accepts new
    /// connections. Only a restart helps then.
    pub async fn is_stuck(&self, min_duration: Duration) -> bool {
        // While the breaker is open, a probe runs and callers do not reach the pool.
        if !self.availability.is_reachable()
            || self
                .availability
                .failing_for()
                .is_none_or(|time| time < min_duration)
        {
            return false;
        }
        // Requests may have stopped since the last failure, so try once more.
        self.acquire().await.is_err() && availability::answers(&self.options).await
    }
}

/// Omits the options, which contain the password.
impl fmt::Debug for PgPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgPool")
            .field("availability", &self.availability)
            .finish_non_exhaustive()
    }
}

async fn ping(connection: &mut PgConnection) -> sqlx::Result<bool> {
    // An error closes the connection at once. `Ok(false)` would close it gracefully, and wait for a
    // server that stopped answering.
    tokio::time::timeout(PING_TIMEOUT, connection.ping())
        .await
        .map_err(|_| deadline::no_answer_error())?
        .map(|()| true)
}

impl<'p> Executor<'p> for &PgPool {
    type Database = Postgres;

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<PgQueryResult>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.execute(query).await })
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Vec<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.fetch_all(query).await })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.fetch_optional(query).await })
    }

    /// Reads every row before it yields the first, so that a slow caller never holds a connection.
    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let read = async move {
            let mut connection = pool.acquire().await?;
            let results: Vec<_> = connection.fetch_many(query).try_collect().await?;
            Ok::<_, sqlx::Error>(stream::iter(results.into_iter().map(Ok)))
        };
        stream::once(read).try_flatten().boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.describe(sql).await })
    }
}
