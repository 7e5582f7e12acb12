//! A writer that collects log lines for a moment and writes them at once: under load, a line costs
//! no system call and wakes no thread.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

use super::metrics;

/// How long a line waits for further lines.
const BATCH_DELAY: Duration = Duration::from_millis(10);

/// Maximum bytes of lines that wait to be written.
const CAPACITY_BYTES: usize = 1024 * 1024;

/// How long a logging thread waits for space. If the target accepts nothing for this time, lines
/// are dropped and counted until it does, because a blocked log target must not stop the process.
const SPACE_TIMEOUT: Duration = Duration::from_millis(100);

/// How long the end of the process waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Log lines that were dropped because nothing read them.";
    metrics::counter("plinth_log_lines_dropped_total", help, &[]).with_label_values::<&str>(&[])
});

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// The target accepted nothing for longer than a thread waits.
    is_stuck: bool,
    /// Lines dropped since the last successful write.
    dropped: u64,
    has_ended: bool,
    /// All waiting lines are written and the thread has ended.
    is_written: bool,
}

impl Shared {
    /// Ignores poisoning: a panic elsewhere cannot leave a half-written line.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts log lines. Clones share the batch.
#[derive(Clone)]
pub(super) struct Batch(Arc<Shared>);

/// Writes the remaining lines when dropped.
pub(super) struct BatchGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Batch {
    /// Starts the thread that writes to `target`.
    pub(super) fn start(mut target: impl Write + Send + 'static) -> io::Result<(Self, BatchGuard)> {
        let shared = Arc::new(Shared::default());
        let writing = shared.clone();
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let mut batch = Vec::new();
                while next_batch(&writing, &mut batch) {
                    // A log that cannot be written must not stop the process.
                    let _ = target.write_all(&batch);
                    batch.clear();
                    let dropped = std::mem::take(&mut writing.lock().dropped);
                    if dropped > 0 {
                        tracing::warn!(dropped, "dropped log lines");
                    }
                }
                writing.lock().is_written = true;
                writing.changed.notify_all();
            })?;
        // Registers the counter, so that the metrics page shows it from the start.
        LazyLock::force(&DROPPED);
        Ok((
            Self(shared.clone()),
            BatchGuard {
                shared,
                thread: Some(thread),
            },
        ))
    }
}

/// Waits for lines and for further ones to join them, and takes all. Returns false at the end.
fn next_batch(shared: &Shared, batch: &mut Vec<u8>) -> bool {
    let state = shared.lock();
    let is_idle = |state: &mut State| state.waiting.is_empty() && !state.has_ended;
    let state = shared
        .changed
        .wait_while(state, is_idle)
        .unwrap_or_else(PoisonError::into_inner);
    let has_space = |state: &mut State| state.waiting.len() < CAPACITY_BYTES && !state.has_ended;
    let waited = shared
        .changed
        .wait_timeout_while(state, BATCH_DELAY, has_space);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    std::mem::swap(&mut state.waiting, batch);
    state.is_stuck = false;
    shared.changed.notify_all();
    !batch.is_empty()
}

impl Write for Batch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_full = |state: &mut State| {
            state.waiting.len() + line.len() > CAPACITY_BYTES && !state.is_stuck && !state.has_ended
        };
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.0.lock(), SPACE_TIMEOUT, is_full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.waiting.len() + line.len() > CAPACITY_BYTES {
            state.is_stuck = true;
            state.dropped += 1;
            DROPPED.inc();
            return Ok(line.len());
        }
        let must_wake =
            state.waiting.is_empty() || state.waiting.len() + line.len() >= CAPACITY_BYTES;
        state.waiting.extend_from_slice(line);
        drop(state);
        if must_wake {
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Batch {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Drop for BatchGuard {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_all();
        let writing = |state: &mut State| !state.is_written;
        let waited =
            self.shared
                .changed
                .wait_timeout_while(self.shared.lock(), FLUSH_TIMEOUT, writing);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // A thread that is blocked on its target ends with the process.
        if state.is_written
            && let Some(thread) = self.thread.take()
        {
            drop(state);
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .expect("no holder panics")
                .push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Accepts nothing until released.
    struct Stuck(std::sync::mpsc::Receiver<()>, Captured);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_blocked_target_loses_lines_and_blocks_neither_writers_nor_shutdown() {
        let (captured, (release, blocked)) = (Captured::default(), std::sync::mpsc::channel());
        let (mut batch, guard) = Batch::start(Stuck(blocked, captured.clone())).expect("a thread");
        let (line, before, begun) = ([b'x'; 1024], DROPPED.get(), Instant::now());
        for _ in 0..5_000 {
            batch.write_all(&line).expect("writing never fails");
        }
        assert!(
            begun.elapsed() < SPACE_TIMEOUT * 10,
            "{:?}",
            begun.elapsed()
        );
        let dropped = DROPPED.get() - before;
        assert!((2_900..5_000).contains(&dropped), "{dropped}");
        // Waiting lines are written after the target accepts lines again.
        release.send(()).expect("the target waits");
        release.send(()).expect("the target waits");
        let written_bytes = || captured.0.lock().expect("no holder panics").concat().len();
        while written_bytes() < CAPACITY_BYTES / 2 {
            std::thread::yield_now();
        }
        batch.write_all(&line).expect("writing never fails");
        let begun = Instant::now();
        drop(guard);
        assert!(begun.elapsed() < FLUSH_TIMEOUT * 2, "{:?}", begun.elapsed());
    }

    #[test]
    fn lines_of_many_threads_are_complete_and_unbroken() {
        let captured = Captured::default();
        let (batch, guard) = Batch::start(captured.clone()).expect("a thread");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let mut batch = batch.clone();
                scope.spawn(move || {
                    for line in 0..50_000 {
                        batch
                            .write_all(format!("{thread} {line}\n").as_bytes())
                            .expect("writing never fails");
                    }
                });
            }
        });
        drop(guard);
        let writes = captured.0.lock().expect("no holder panics").clone();
        let text = String::from_utf8(writes.concat()).expect("UTF-8");
        for thread in 0..4 {
            let own: Vec<usize> = text
                .lines()
                .filter_map(|line| line.strip_prefix(&format!("{thread} "))?.parse().ok())
                .collect();
            assert_eq!(
                own,
                (0..50_000).collect::<Vec<_>>(),
                "the lines of a thread are in order"
            );
        }
        assert!(writes.len() < 2_000, "{} writes", writes.len());
    }
}
