//! The client's deadline for a statement, for a server that stopped answering.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long after the server's `statement_timeout` the client gives up, so that the server's own
/// error arrives first.
const CLIENT_GRACE: Duration = Duration::from_secs(2);

/// The deadline in milliseconds; 0 means none. Global to the process, because repositories receive
/// bare connections.
static DEADLINE_MS: AtomicU64 = AtomicU64::new(0);

/// Sets the deadline of the process for sessions with this `statement_timeout`. The longest of all
/// pools applies.
pub(super) fn set(statement_timeout: Duration) {
    if !statement_timeout.is_zero() {
        let ms = u64::try_from((statement_timeout + CLIENT_GRACE).as_millis()).unwrap_or(u64::MAX);
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
            outcome.unwrap_or_else(|_| Err(no_answer_error().into()))
        }
    }
}

/// Returns the error of a statement that got no answer.
pub(super) fn no_answer_error() -> sqlx::Error {
    sqlx::Error::Io(Error::new(
        ErrorKind::TimedOut,
        "PostgreSQL did not answer a statement in time",
    ))
}
