//! A writer that gathers lines for a moment and writes them at once: under load a line costs no system call and wakes
//! no thread.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others.
const MOMENT: Duration = Duration::from_millis(10);

/// Bytes that may wait; whoever logs more waits himself, so that memory stays bounded and no line is lost.
const CAPACITY: usize = 1024 * 1024;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    ended: bool,
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
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut batch = Vec::new();
            while next(&writing, &mut batch) {
                // A log that cannot be written is no reason to stop serving.
                let _ = target.write_all(&batch);
                batch.clear();
            }
        })?;
        Ok((Self(shared.clone()), BatchGuard { shared, thread: Some(thread) }))
    }
}

/// Waits for lines, gives others a moment, and takes all; false at the end.
fn next(shared: &Shared, batch: &mut Vec<u8>) -> bool {
    let state = shared.lock();
    let idle = |state: &mut State| state.waiting.is_empty() && !state.ended;
    let state = shared.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
    let gathering = |state: &mut State| state.waiting.len() < CAPACITY && !state.ended;
    let waited = shared.changed.wait_timeout_while(state, MOMENT, gathering);
    let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    std::mem::swap(&mut state.waiting, batch);
    shared.changed.notify_all();
    !batch.is_empty()
}

impl Write for Batch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = |state: &mut State| state.waiting.len() >= CAPACITY && !state.ended;
        let state = self.0.changed.wait_while(self.0.lock(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
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
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no holder panics").push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
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
                        batch.write_all(format!("{thread} {line}\n").as_bytes()).expect("it never fails");
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
            assert_eq!(own, (0..50_000).collect::<Vec<_>>(), "the lines of a thread, in their order");
        }
        assert!(writes.len() < 2_000, "{} writes", writes.len());
    }
}
