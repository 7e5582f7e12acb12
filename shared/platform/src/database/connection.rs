//! Connections that find their way back to the pool, or out of it, within a bounded time.
//!
//! sqlx pings a returned connection without a bound: a server that has gone silent would keep the slot of the pool for
//! good. Here a connection that does not answer in time is dropped, which closes its socket and frees its slot.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Executor as _, Postgres};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::deadline;
use super::nesting::OpenTransaction;

/// How long a returned connection may take to roll back what is open, and then to answer.
const RETURN_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection of the pool. Dropped, it goes back.
pub struct Connection {
    /// Present until dropped.
    inner: Option<PoolConnection<Postgres>>,
    in_transaction: bool,
}

impl Connection {
    pub(super) fn new(inner: PoolConnection<Postgres>) -> Self {
        Self {
            inner: Some(inner),
            in_transaction: false,
        }
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.inner
            .as_ref()
            .expect("a connection is taken only by its drop")
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.inner
            .as_mut()
            .expect("a connection is taken only by its drop")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(give_back(inner, self.in_transaction))),
            // The runtime has ended, and the pool with it: only the socket is left to close.
            Err(_) => drop(inner.leak()),
        }
    }
}

async fn give_back(mut inner: PoolConnection<Postgres>, in_transaction: bool) {
    if in_transaction
        && !matches!(
            timeout(RETURN_TIMEOUT, inner.execute("ROLLBACK")).await,
            Ok(Ok(_))
        )
    {
        // Not dropped as it is: that would return it.
        drop(inner.detach());
        tracing::warn!("closed a connection to PostgreSQL that did not roll back");
        return;
    }
    // The public way back is the drop of `PoolConnection`, which has no bound.
    if timeout(RETURN_TIMEOUT, inner.return_to_pool())
        .await
        .is_err()
    {
        tracing::warn!("closed a connection to PostgreSQL that did not answer");
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// An open transaction. Dropped without [`Transaction::commit`], it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    connection: Connection,
    _open: OpenTransaction,
}

impl Transaction {
    /// Begins a transaction on the connection.
    pub(super) async fn begin(
        mut connection: Connection,
        open: OpenTransaction,
    ) -> sqlx::Result<Self> {
        // Before the statement: whoever gives up in the middle may have begun one.
        connection.in_transaction = true;
        deadline::within(connection.execute("BEGIN")).await?;
        Ok(Self {
            connection,
            _open: open,
        })
    }

    /// Commits. After an error it is unknown whether the server has committed.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    /// Rolls back now rather than when dropped.
    pub async fn rollback(self) -> sqlx::Result<()> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, statement: &'static str) -> sqlx::Result<()> {
        deadline::within(self.connection.execute(statement)).await?;
        self.connection.in_transaction = false;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
