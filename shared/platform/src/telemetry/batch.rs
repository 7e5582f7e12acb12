//! A writer that gathers lines for a moment and writes them at once: under load a line costs no system call and wakes
//! no thread.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

use super::metrics;

/// How long a line may wait for others.
const MOMENT: Duration = Duration::from_millis(10);

/// Bytes that may wait.
const CAPACITY: usize = 1024 * 1024;

/// How long a thread with a line waits for room. If the target takes nothing for that time, lines are dropped and counted
/// until it does: a log that nobody reads does not stop the process.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

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
    /// The target has taken nothing for longer than a thread waits.
    is_stuck: bool,
    /// Since the last line that was taken.
    dropped: u64,
    ended: bool,
    /// Everything that waited is written.
    is_written: bool,
}

impl Shared {
    /// A panic elsewhere cannot have left a half-written line.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes lines. Clones share the batch.
#[derive(Clone)]
pub(super) struct Batch(Arc<Shared>);

/// Writes what still waits when it is dropped.
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
                while next(&writing, &mut batch) {
                    // A log that cannot be written is no reason to stop serving.
                    let _ = target.write_all(&batch);
                    batch.clear();
                    let dropped = std::mem::take(&mut writing.lock().dropped);
                    if dropped > 0 {
                        tracing::warn!(dropped, "log lines were dropped");
                    }
                }
                writing.lock().is_written = true;
                writing.changed.notify_all();
            })?;
        // A counter that was never touched is not on the page.
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

/// Waits for lines, gives others a moment, and takes all; false at the end.
fn next(shared: &Shared, batch: &mut Vec<u8>) -> bool {
    let state = shared.lock();
    let idle = |state: &mut State| state.waiting.is_empty() && !state.ended;
    let state = shared
        .changed
        .wait_while(state, idle)
        .unwrap_or_else(PoisonError::into_inner);
    let gathering = |state: &mut State| state.waiting.len() < CAPACITY && !state.ended;
    let waited = shared.changed.wait_timeout_while(state, MOMENT, gathering);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    std::mem::swap(&mut state.waiting, batch);
    state.is_stuck = false;
    shared.changed.notify_all();
    !batch.is_empty()
}

impl Write for Batch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = |state: &mut State| {
            state.waiting.len() + line.len() > CAPACITY && !state.is_stuck && !state.ended
        };
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.0.lock(), PATIENCE, full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.waiting.len() + line.len() > CAPACITY {
            state.is_stuck = true;
            state.dropped += 1;
            DROPPED.inc();
            return Ok(line.len());
        }
        let wakes = state.waiting.is_empty() || state.waiting.len() + line.len() >= CAPACITY;
        state.waiting.extend_from_slice(line);
        drop(state);
        if wakes {
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
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        let writing = |state: &mut State| !state.is_written;
        let waited =
            self.shared
                .changed
                .wait_timeout_while(self.shared.lock(), LAST_LINES, writing);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // A thread whose target takes nothing goes with the process.
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
    struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Kept {
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

    /// Takes nothing until it is let go.
    struct Stuck(std::sync::mpsc::Receiver<()>, Kept);

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
    fn a_target_that_takes_nothing_costs_lines_and_stops_neither_their_writers_nor_the_end() {
        let (kept, (release, blocked)) = (Kept::default(), std::sync::mpsc::channel());
        let (mut batch, guard) = Batch::start(Stuck(blocked, kept.clone())).expect("a thread");
        let (line, before, begun) = ([b'x'; 1024], DROPPED.get(), Instant::now());
        for _ in 0..5_000 {
            batch.write_all(&line).expect("it never fails");
        }
        assert!(begun.elapsed() < PATIENCE * 10, "{:?}", begun.elapsed());
        let dropped = DROPPED.get() - before;
        assert!((2_900..5_000).contains(&dropped), "{dropped}");
        // What waited is written once the target takes lines again.
        release.send(()).expect("it listens");
        release.send(()).expect("it listens");
        let written = || kept.0.lock().expect("no holder panics").concat().len();
        while written() < CAPACITY / 2 {
            std::thread::yield_now();
        }
        batch.write_all(&line).expect("it never fails");
        let begun = Instant::now();
        drop(guard);
        assert!(begun.elapsed() < LAST_LINES * 2, "{:?}", begun.elapsed());
    }

    #[test]
    fn many_threads_lines_are_all_there_and_whole() {
        let kept = Kept::default();
        let (batch, guard) = Batch::start(kept.clone()).expect("a thread");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let mut batch = batch.clone();
                scope.spawn(move || {
                    for line in 0..50_000 {
                        batch
                            .write_all(format!("{thread} {line}\n").as_bytes())
                            .expect("it never fails");
                    }
                });
            }
        });
        drop(guard);
        let writes = kept.0.lock().expect("no holder panics").clone();
        let text = String::from_utf8(writes.concat()).expect("UTF-8");
        for thread in 0..4 {
            let own: Vec<usize> = text
                .lines()
                .filter_map(|line| line.strip_prefix(&format!("{thread} "))?.parse().ok())
                .collect();
            assert_eq!(
                own,
                (0..50_000).collect::<Vec<_>>(),
                "the lines of a thread, in their order"
            );
        }
        assert!(writes.len() < 2_000, "{} writes", writes.len());
    }
}
