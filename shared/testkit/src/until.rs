//! Waiting for what other processes do.

use std::time::{Duration, Instant};

/// Longer than anything in a test takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks until there is an answer; panics, with what was waited for, when there is none in time.
pub async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
