//! A thread that keeps the runtime alive while a handler blocks one of its threads, and aborts the
//! process if handlers block all of them.
//!
//! The blocked thread may be the one that watches sockets and timers for the others. None of them
//! takes over before an event comes from outside the runtime. This thread is the source of such
//! events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::runtime::Handle;

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);

/// A running watchdog. It ends when this is dropped.
pub(crate) struct RuntimeWatchdog {
    _stop: Sender<()>,
}

impl RuntimeWatchdog {
    /// Starts a watchdog for the runtime of the caller.
    ///
    /// It aborts the process if the runtime does not respond for the length of a lease: by then
    /// other workers may hold its jobs, and no thread is left that could stop the handlers.
    pub(crate) fn start(lease: Duration) -> std::io::Result<Self> {
        let runtime = Handle::current();
        let (stop, stopped) = channel();
        // Missed heartbeats are counted, not measured: a frozen process has missed none.
        let max_missed = (lease.as_millis() / HEARTBEAT_INTERVAL.as_millis()).max(8);
        let watch = move || {
            let has_responded = Arc::new(AtomicBool::new(true));
            let mut missed = 0;
            while missed < max_missed {
                missed = if has_responded.swap(false, Ordering::Relaxed) {
                    0
                } else {
                    missed + 1
                };
                let response = has_responded.clone();
                runtime.spawn(async move { response.store(true, Ordering::Relaxed) });
                if stopped.recv_timeout(HEARTBEAT_INTERVAL) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            tracing::error!("handlers block every thread; aborting, the jobs run again");
            std::process::abort();
        };
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(watch)?;
        Ok(Self { _stop: stop })
    }
}
