//! Connections that return to the pool, or are closed, within a bounded time.
//!
//! sqlx pings a returned connection without a timeout, so a server that stopped answering would
//! occupy the pool's slot forever. Here a connection that does not answer in time is dropped, which
//! closes its socket and frees the slot.

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

/// Timeout for each step of returning a connection: rolling back an open transaction, then
/// answering.
const RETURN_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection of the pool, which returns to the pool when dropped.
pub struct Connection {
    /// `Some` until the connection is dropped.
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
            .expect("only drop takes the inner connection")
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.inner
            .as_mut()
            .expect("only drop takes the inner connection")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(return_to_pool(inner, self.in_transaction))),
            // The runtime has ended, and the pool with it, so only the socket remains to be closed.
            Err(_) => drop(inner.leak()),
        }
    }
}

async fn return_to_pool(mut inner: PoolConnection<Postgres>, in_transaction: bool) {
    if in_transaction
        && !matches!(
            timeout(RETURN_TIMEOUT, inner.execute("ROLLBACK")).await,
            Ok(Ok(_))
        )
    {
        // Detached first, because a drop would return it to the pool.
        drop(inner.detach());
        tracing::warn!("closed PostgreSQL connection: rollback failed or timed out");
        return;
    }
    // `return_to_pool` is hidden in sqlx's documentation. The documented way, dropping
    // `PoolConnection`, has no timeout.
    if timeout(RETURN_TIMEOUT, inner.return_to_pool())
        .await
        .is_err()
    {
        tracing::warn!("closed PostgreSQL connection: no answer");
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// An open transaction, which is rolled back if dropped without [`Transaction::commit`].
#[derive(Debug)]
pub struct Transaction {
    connection: Connection,
    _open: OpenTransaction,
}

impl Transaction {
    /// Begins a transaction.
    pub(super) async fn begin(
        mut connection: Connection,
        open: OpenTransaction,
    ) -> sqlx::Result<Self> {
        // Set before the statement: a cancelled BEGIN may still have opened a transaction.
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

    /// Rolls back at once instead of when dropped.
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
