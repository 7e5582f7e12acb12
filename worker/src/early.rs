//! Work that can be ended early and then still says what it did.

use std::pin::Pin;
use std::time::Duration;

use plinth_platform::shutdown;
use tokio_util::sync::CancellationToken;

/// Runs what heeds its token, which is cancelled when `end` is over; it always comes to its own end.
///
/// # Errors
/// Those of the work, and of `end`.
pub(crate) async fn until<T, E, F>(
    end: impl Future<Output = anyhow::Result<()>>,
    stop: &CancellationToken,
    mut work: Pin<Box<F>>,
) -> anyhow::Result<T>
where
    E: Into<anyhow::Error>,
    F: Future<Output = Result<T, E>>,
{
    tokio::select! {
        done = &mut work => done.map_err(Into::into),
        ended = end => {
            ended?;
            stop.cancel();
            work.await.map_err(Into::into)
        }
    }
}

/// SIGTERM or SIGINT.
pub(crate) async fn asked() -> anyhow::Result<()> {
    Ok(shutdown::requested().await?)
}

/// So much later.
pub(crate) async fn after(time: Duration) -> anyhow::Result<()> {
    tokio::time::sleep(time).await;
    Ok(())
}

/// Returns how long work may take that ends by itself, with a report, before its job is stopped after `timeout`.
pub(crate) fn before(timeout: Duration) -> Duration {
    timeout * 4 / 5
}
