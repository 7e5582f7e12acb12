//! The client's deadline of a statement, for a server that has gone silent.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How much later than the server's `statement_timeout` the client gives up. The server's own answer comes first.
const GRACE: Duration = Duration::from_secs(2);

/// In milliseconds; 0 is no deadline. The repositories are handed bare connections, so this belongs to the process.
static DEADLINE_MS: AtomicU64 = AtomicU64::new(0);

/// Sets the deadline of the process for sessions with this `statement_timeout`. The longest of all pools counts.
pub(super) fn set(statement_timeout: Duration) {
    if !statement_timeout.is_zero() {
        let ms = u64::try_from((statement_timeout + GRACE).as_millis()).unwrap_or(u64::MAX);
        DEADLINE_MS.fetch_max(ms, Ordering::Relaxed);
    }
}

/// Runs a statement within the deadline.
pub(super) async fn within<T, E: From<sqlx::Error>>(
    run: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match DEADLINE_MS.load(Ordering::Relaxed) {
        0 => run.await,
        ms => {
            let outcome = tokio::time::timeout(Duration::from_millis(ms), run).await;
            outcome.unwrap_or_else(|_| Err(silent().into()))
        }
    }
}

/// The error of a statement without an answer.
pub(super) fn silent() -> sqlx::Error {
    sqlx::Error::Io(Error::new(
        ErrorKind::TimedOut,
        "PostgreSQL did not answer a statement in time",
    ))
}
