//! The pool of connections.

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

/// A wait for a connection that is longer than this may mean that PostgreSQL is away: a probe finds out.
const SUSPICION: Duration = Duration::from_millis(250);

/// How long an idle connection may take to answer before it is given out.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections to PostgreSQL, shared by all clones.
///
/// No connection keeps its slot longer than a bounded time after the server has gone silent, and while the server is
/// away a request fails at once.
#[derive(Clone)]
pub struct PgPool {
    inner: sqlx::PgPool,
    options: Arc<PgConnectOptions>,
    availability: Arc<Availability>,
}

impl PgPool {
    /// Makes a pool that connects when it is first used. `session` is set in each new session.
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
            // Its ping has no bound; the one below has.
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
    /// Fails at once while PostgreSQL is away, and after the acquire timeout if every connection stays in use.
    ///
    /// # Panics
    ///
    /// In builds for development, if the task has a transaction open that it began on this pool.
    pub async fn acquire(&self) -> sqlx::Result<Connection> {
        nesting::refuse_second_connection(self.address());
        if !self.availability.is_reachable() {
            return Err(availability::unreachable());
        }
        let acquired = self.acquire_or_lose().await;
        match acquired {
            Ok(connection) => {
                self.availability.succeeded();
                Ok(connection)
            }
            Err(error) => {
                self.availability.failed();
                Availability::probe(&self.availability, &self.options);
                Err(error)
            }
        }
    }

    async fn acquire_or_lose(&self) -> sqlx::Result<Connection> {
        let mut acquiring = pin!(self.inner.acquire());
        loop {
            tokio::select! {
                biased;
                acquired = &mut acquiring => return acquired.map(Connection::new),
                () = self.availability.lost() => return Err(availability::unreachable()),
                () = tokio::time::sleep(SUSPICION) => Availability::probe(&self.availability, &self.options),
            }
        }
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> sqlx::Result<Transaction> {
        let connection = self.acquire().await?;
        Transaction::begin(connection, OpenTransaction::mark(self.address())).await
    }

    /// The same for all clones.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.availability).addr()
    }

    /// Returns whether the pool has given out nothing for `patience` although PostgreSQL takes new connections: only a
    /// restart helps then.
    pub async fn is_stuck(&self, patience: Duration) -> bool {
        // While the breaker is open a probe is under way, and the pool is not asked.
        if !self.availability.is_reachable()
            || self
                .availability
                .failing_for()
                .is_none_or(|time| time < patience)
        {
            return false;
        }
        // Requests may have stopped since the last failure.
        self.acquire().await.is_err() && availability::answers(&self.options).await
    }
}

/// Without the options, which hold the password.
impl fmt::Debug for PgPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgPool")
            .field("availability", &self.availability)
            .finish_non_exhaustive()
    }
}

async fn ping(connection: &mut PgConnection) -> sqlx::Result<bool> {
    // An error closes the connection without a farewell that a silent server would not hear.
    tokio::time::timeout(PING_TIMEOUT, connection.ping())
        .await
        .map_err(|_| deadline::silent())?
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

    /// Reads every row before the first is seen: a connection is never held while a caller is slow.
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
            let steps: Vec<_> = connection.fetch_many(query).try_collect().await?;
            Ok::<_, sqlx::Error>(stream::iter(steps.into_iter().map(Ok)))
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
