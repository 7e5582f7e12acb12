//! The memory of uploads in one process: a budget that buffers are taken from as bytes arrive.
//!
//! An upload begins with one chunk, which is not counted. It gets a buffer of one unit when it outgrows that, and a whole
//! part's when it outgrows the unit. No buffer exists without its units. While uploads wait for units, one that fills its
//! buffer too slowly loses it, so that clients that trickle do not keep the others out.
//!
//! Buffers of parts are used again: what is freed the allocator keeps for a second, and gives other memory meanwhile. At
//! the rate of uploads that is more than the parts themselves.

mod budget;
mod meter;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plinth_domain::id::UserId;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::budget::{Budget, Grant, Holder};
use super::part::{PART_CHUNKS, SEALED_CHUNK, SEALED_PART};
use crate::{Error, Result};

/// Chunks of a buffer of one unit: a mebibyte of plaintext.
const UNIT_CHUNKS: u32 = 16;

/// Units of a whole part.
const PART_UNITS: usize = (PART_CHUNKS / UNIT_CHUNKS) as usize;

/// An upload waits no longer for units while none are granted to any upload.
const STALLED: Duration = Duration::from_secs(2);

/// An upload waits no longer for units, however many are granted to others.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How often an upload that waits looks for one that fills its buffer too slowly.
const RECHECK: Duration = Duration::from_millis(200);

/// When a client that got no memory may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The uploads of this process. Clones share the budget.
#[derive(Clone, Default)]
pub(in crate::files) struct Transfers(Arc<Mutex<Budget>>);

/// An upload under way.
pub(in crate::files) struct Transfer {
    transfers: Transfers,
    account: UserId,
    /// It had a part's buffer before: the next one it gets at once.
    has_parts: AtomicBool,
}

/// How much a buffer holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RoomSize {
    /// One chunk, which most files do not outgrow.
    #[default]
    Chunk,
    Unit,
    Part,
}

impl RoomSize {
    /// The smallest that holds this many chunks.
    pub(super) fn of_chunks(chunks: usize) -> Self {
        match chunks {
            0..=1 => Self::Chunk,
            2..=UNIT => Self::Unit,
            _ => Self::Part,
        }
    }

    const fn units(self) -> usize {
        match self {
            Self::Chunk => 0,
            Self::Unit => 1,
            Self::Part => PART_UNITS,
        }
    }
}

const UNIT: usize = UNIT_CHUNKS as usize;

/// A buffer with its units, which are given back when it is dropped.
#[derive(Default)]
pub(super) struct Room {
    pub(super) bytes: Vec<u8>,
    pub(super) size: RoomSize,
    lease: Option<Lease>,
}

struct Lease {
    budget: Arc<Mutex<Budget>>,
    grant: Grant,
    holder: Arc<Holder>,
}

impl Transfers {
    pub(in crate::files) fn begin(&self, account: UserId) -> Transfer {
        self.budget().transfers += 1;
        Transfer {
            transfers: self.clone(),
            account,
            has_parts: AtomicBool::new(false),
        }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        locked(&self.0)
    }

    async fn room(&self, account: UserId, size: RoomSize) -> Result<Room> {
        let grant = self.grant(account, size).await?;
        let mut budget = self.budget();
        let bytes = match size {
            RoomSize::Part => budget
                .spare
                .pop()
                .unwrap_or_else(|| Vec::with_capacity(SEALED_PART)),
            _ => Vec::with_capacity(UNIT * SEALED_CHUNK),
        };
        budget.trim_spare();
        let holder = budget.hold(&grant);
        drop(budget);
        Ok(Room {
            bytes,
            size,
            lease: Some(Lease {
                budget: self.0.clone(),
                grant,
                holder,
            }),
        })
    }

    /// Waits for units.
    ///
    /// # Errors
    /// [`Error::Busy`] if other uploads keep theirs.
    async fn grant(&self, account: UserId, size: RoomSize) -> Result<Grant> {
        let mut waiting = self.wait(account, size);
        let begun = Instant::now();
        let (mut seen, mut moved) = (None, begun);
        loop {
            let granted = {
                let mut budget = self.budget();
                budget.serve(Instant::now());
                budget.granted
            };
            let now = Instant::now();
            if seen.replace(granted) != Some(granted) {
                moved = now;
            }
            if timeout(RECHECK, waiting.notify.notified()).await.is_ok() {
                return Ok(waiting.take());
            }
            if now - moved >= STALLED || now - begun >= MAX_WAIT {
                return Err(busy());
            }
        }
    }

    fn wait(&self, account: UserId, size: RoomSize) -> Waiting {
        let notify = Arc::new(Notify::new());
        let grant = Grant {
            id: 0,
            account,
            units: size.units(),
        };
        let id = self.budget().wait(grant, notify.clone());
        Waiting {
            budget: self.0.clone(),
            grant: Grant { id, ..grant },
            notify,
            is_taken: false,
        }
    }
}

/// A place in the queue for units; left, or the units given back, when it is dropped.
struct Waiting {
    budget: Arc<Mutex<Budget>>,
    grant: Grant,
    notify: Arc<Notify>,
    is_taken: bool,
}

impl Waiting {
    fn take(&mut self) -> Grant {
        self.is_taken = true;
        self.grant
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        let mut budget = locked(&self.budget);
        if !budget.leave(self.grant.id) {
            budget.release(&self.grant, Instant::now());
        }
    }
}

impl Transfer {
    /// An empty buffer that holds this many chunks at least.
    pub(super) async fn room(&self, chunks: usize) -> Result<Room> {
        let had_parts = self.has_parts.load(Ordering::Relaxed);
        let size = if had_parts {
            RoomSize::Part
        } else {
            RoomSize::of_chunks(chunks)
        };
        let room = self.transfers.room(self.account, size).await?;
        self.has_parts
            .store(had_parts || size == RoomSize::Part, Ordering::Relaxed);
        Ok(room)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let mut budget = self.transfers.budget();
        budget.transfers -= 1;
        budget.trim_spare();
    }
}

impl Room {
    /// Counts bytes that filled it.
    ///
    /// # Errors
    /// [`Error::Busy`] if it is to be given up for uploads that are faster.
    pub(super) fn count(&self, bytes: usize) -> Result<()> {
        let Some(lease) = &self.lease else {
            return Ok(());
        };
        lease.holder.count(bytes, Instant::now());
        if lease.holder.is_preempted() {
            Err(busy())
        } else {
            Ok(())
        }
    }

    /// Nothing fills it now that the client could be too slow for: from here on it is not given up.
    pub(super) fn keep(&self) {
        if let Some(lease) = &self.lease {
            locked(&lease.budget).keep(lease.grant.id);
        }
    }

    /// Ends when it is to be given up for uploads that are faster.
    pub(super) fn preempted(&self) -> impl Future<Output = Error> + Send + use<> {
        let holder = self.lease.as_ref().map(|lease| lease.holder.clone());
        async move {
            match holder {
                Some(holder) => holder.preempted().await,
                None => std::future::pending().await,
            }
            busy()
        }
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(lease) = &self.lease {
            let mut budget = locked(&lease.budget);
            if self.size == RoomSize::Part {
                budget.spare.push(std::mem::take(&mut self.bytes));
            }
            budget.release(&lease.grant, Instant::now());
            budget.trim_spare();
        }
    }
}

fn busy() -> Error {
    Error::Busy {
        retry_after: RETRY_AFTER,
    }
}

fn locked(budget: &Mutex<Budget>) -> MutexGuard<'_, Budget> {
    budget.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
