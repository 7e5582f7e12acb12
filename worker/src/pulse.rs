//! Keeps the runtime going while a handler blocks one of its threads, and ends the process when handlers block them all.
//!
//! The blocked thread may be the one that watched sockets and timers for the others, and none of them takes its place
//! before something comes from outside of the runtime. So something comes, from a thread of the system's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::runtime::Handle;

/// Between two beats.
const BEAT: Duration = Duration::from_millis(250);

/// Beats until it is dropped.
pub(crate) struct Pulse {
    _stop: Sender<()>,
}

impl Pulse {
    /// Wakes the runtime of the caller. When it answers nothing for the length of a lease, all that this process held is
    /// somebody else's by then, and nobody is left in it who could stop it: it aborts.
    pub(crate) fn start(lease: Duration) -> std::io::Result<Self> {
        let runtime = Handle::current();
        let (stop, stopped) = channel();
        // Counted and not measured: a process that was frozen has not missed a beat.
        let most = (lease.as_millis() / BEAT.as_millis()).max(8);
        let beat = move || {
            let answered = Arc::new(AtomicBool::new(true));
            let mut missed = 0;
            while missed < most {
                missed = if answered.swap(false, Ordering::Relaxed) {
                    0
                } else {
                    missed + 1
                };
                let answer = answered.clone();
                runtime.spawn(async move { answer.store(true, Ordering::Relaxed) });
                if stopped.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            tracing::error!(
                "handlers block every thread of this process: it ends, and its jobs run again"
            );
            std::process::abort();
        };
        std::thread::Builder::new()
            .name("pulse".to_owned())
            .spawn(beat)?;
        Ok(Self { _stop: stop })
    }
}
