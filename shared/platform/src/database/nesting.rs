//! Detects tasks that acquire a second connection from a pool while they hold one with an open
//! transaction.
//!
//! If as many such tasks run as the pool has connections, they wait for each other until they time
//! out, and every other task waits too. Debug builds panic at the second connection, even if others
//! are free. A future polled outside a task (`block_on`, the body of a test) has no id and is not
//! checked.

use std::sync::{Mutex, PoisonError};

use tokio::task::{self, Id};

/// The tasks with an open transaction, each with the address of its pool.
static OPEN: Mutex<Vec<Holder>> = Mutex::new(Vec::new());

type Holder = (Id, usize);

/// Marks the task that began a transaction until this is dropped.
#[derive(Debug)]
pub(super) struct OpenTransaction(Option<Holder>);

impl OpenTransaction {
    /// Marks the current task. `pool` is the address of the pool.
    pub(super) fn mark(pool: usize) -> Self {
        let holder = holder(pool);
        if let Some(holder) = holder {
            OPEN.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(holder);
        }
        Self(holder)
    }
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        let Some(holder) = self.0 else { return };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = open.iter().position(|open| *open == holder) {
            open.swap_remove(index);
        }
    }
}

/// Panics if the current task has an open transaction on a connection of this pool.
pub(super) fn refuse_second_connection(pool: usize) {
    let Some(holder) = holder(pool) else { return };
    let is_second = OPEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .contains(&holder);
    assert!(
        !is_second,
        "a task acquired a second connection from a pool while it has an open transaction: use the \
         transaction, or end it first"
    );
}

/// Returns the current task in debug builds, and `None` in release builds.
fn holder(pool: usize) -> Option<Holder> {
    if cfg!(debug_assertions) {
        task::try_id().map(|task| (task, pool))
    } else {
        None
    }
}
