//! Finds tasks that take a connection from a pool of which they hold one already, with a transaction on it.
//!
//! As many such tasks as the pool has connections wait for each other until they time out, and every other task with them.
//! Builds for development panic at the second connection, however many are free. A future that is polled outside of a task
//! (`block_on`, the body of a test) has no id and is not looked at.

use std::sync::{Mutex, PoisonError};

use tokio::task::{self, Id};

/// The tasks with an open transaction, each with the address of its pool.
static OPEN: Mutex<Vec<Holder>> = Mutex::new(Vec::new());

type Holder = (Id, usize);

/// A mark of the task that began a transaction, removed when this is dropped.
#[derive(Debug)]
pub(super) struct OpenTransaction(Option<Holder>);

impl OpenTransaction {
    /// Marks the present task. `pool` is the address of the pool.
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
        if let Some(index) = open.iter().position(|one| *one == holder) {
            open.swap_remove(index);
        }
    }
}

/// Panics if the present task has a transaction open on a connection of this pool.
pub(super) fn refuse_second_connection(pool: usize) {
    let Some(holder) = holder(pool) else { return };
    let is_second = OPEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .contains(&holder);
    assert!(
        !is_second,
        "a task takes a second connection from a pool while it has a transaction open: read through the transaction, or \
         end it first"
    );
}

/// The present task, in builds for development.
fn holder(pool: usize) -> Option<Holder> {
    if cfg!(debug_assertions) {
        task::try_id().map(|task| (task, pool))
    } else {
        None
    }
}
