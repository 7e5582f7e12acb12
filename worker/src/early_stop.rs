//! Work that can be stopped early and then still reports what it did.

use std::pin::Pin;
use std::time::Duration;

use plinth_platform::shutdown;
use tokio_util::sync::CancellationToken;

/// Runs `work` to its end. When `end` completes, cancels `stop`, which `work` must observe.
///
/// # Errors
/// Those of the work, and of `end`.
pub(crate) async fn run_until<T, E, F>(
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

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn shutdown_signal() -> anyhow::Result<()> {
    Ok(shutdown::requested().await?)
}

/// Waits for a time.
pub(crate) async fn after(time: Duration) -> anyhow::Result<()> {
    tokio::time::sleep(time).await;
    Ok(())
}

/// Returns how long such work may take, so that it ends and reports before its job is stopped after
/// `job_timeout`.
pub(crate) fn limit_within(job_timeout: Duration) -> Duration {
    job_timeout * 4 / 5
}
