//! The memory of parts: a process holds so many at once, and fills the same memory again and again.
//!
//! What is freed the allocator keeps for a second, and gives other memory meanwhile. At the rate of uploads that is more
//! than the parts themselves.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::part::SEALED_PART;

/// Parts that this process holds at once before those who send faster than the rest have to wait.
const PARTS: usize = 12;

/// One part of a transfer fills while another one is on its way.
const PARTS_OF_ONE: usize = 2;

/// Longer nobody waits for others' parts while none of them moves: those that trickle in would hold up everybody.
const COURTESY: Duration = Duration::from_secs(2);

/// Times that the courtesy is shown again while the queue moves, so that a slow one does not stop.
const TURNS: usize = 5;

/// What is being transferred. Clones share it.
#[derive(Clone)]
pub(in crate::files) struct Transfers {
    room: Arc<Semaphore>,
    /// How many have got room so far.
    granted: Arc<AtomicU64>,
    spare: Arc<Mutex<Spare>>,
}

/// Memory that nobody fills now.
#[derive(Default)]
struct Spare {
    transfers: usize,
    parts: Vec<Vec<u8>>,
}

/// One that is under way.
pub(in crate::files) struct Transfer {
    transfers: Transfers,
}

/// Memory to fill: of a part where it is of a transfer's, of its own where it is not. Given back when it is dropped.
#[derive(Default)]
pub(super) struct Room {
    pub(super) bytes: Vec<u8>,
    lease: Option<Lease>,
}

struct Lease {
    spare: Arc<Mutex<Spare>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Default for Transfers {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(PARTS)), granted: Arc::default(), spare: Arc::default() }
    }
}

impl Transfers {
    pub(in crate::files) fn begin(&self) -> Transfer {
        held(&self.spare).transfers += 1;
        Transfer { transfers: self.clone() }
    }

    /// In the order of asking; `None` for who has waited long enough and goes on without.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let mut room = pin!(self.room.clone().acquire_owned());
        for _ in 0..TURNS {
            let before = self.granted.load(Ordering::Relaxed);
            if let Ok(room) = timeout(COURTESY, &mut room).await {
                self.granted.fetch_add(1, Ordering::Relaxed);
                return room.ok();
            }
            if self.granted.load(Ordering::Relaxed) == before {
                return None;
            }
        }
        None
    }
}

impl Transfer {
    /// Room for a part, empty.
    pub(super) async fn room(&self) -> Room {
        let permit = self.transfers.permit().await;
        let spare = self.transfers.spare.clone();
        let bytes = held(&spare).parts.pop();
        let bytes = bytes.unwrap_or_else(|| Vec::with_capacity(SEALED_PART));
        Room { bytes, lease: Some(Lease { spare, _permit: permit }) }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let mut spare = held(&self.transfers.spare);
        spare.transfers -= 1;
        let most = spare.most();
        spare.parts.truncate(most);
    }
}

impl Spare {
    /// Parts that those who transfer may soon need.
    fn most(&self) -> usize {
        PARTS.min(self.transfers * PARTS_OF_ONE)
    }

    fn keep(&mut self, mut bytes: Vec<u8>) {
        if self.parts.len() < self.most() {
            bytes.clear();
            self.parts.push(bytes);
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
            held(&lease.spare).keep(std::mem::take(&mut self.bytes));
        }
    }
}

fn held(spare: &Mutex<Spare>) -> MutexGuard<'_, Spare> {
    spare.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare(transfers: &Transfers) -> usize {
        held(&transfers.spare).parts.len()
    }

    #[tokio::test]
    async fn a_part_fills_the_memory_of_the_one_before() {
        let transfers = Transfers::default();
        let transfer = transfers.begin();
        let mut room = transfer.room().await;
        room.bytes.extend_from_slice(b"of the one before");
        let memory = room.bytes.as_ptr();
        drop(room);
        let next = transfer.room().await;
        assert_eq!((next.bytes.as_ptr(), next.bytes.len()), (memory, 0));
    }

    #[tokio::test]
    async fn no_more_is_kept_than_those_under_way_need() {
        let transfers = Transfers::default();
        let (one, other) = (transfers.begin(), transfers.begin());
        let mut rooms = Vec::new();
        for _ in 0..5 {
            rooms.push(one.room().await);
        }
        drop(rooms);
        assert_eq!(spare(&transfers), 4);
        drop(other);
        assert_eq!(spare(&transfers), 2);
        let on_its_way = one.room().await;
        drop(one);
        drop(on_its_way);
        assert_eq!(spare(&transfers), 0);
    }

    #[tokio::test]
    async fn who_waits_for_parts_that_do_not_move_goes_on_without() {
        let transfers = Transfers::default();
        let transfer = transfers.begin();
        let mut held = Vec::new();
        for _ in 0..PARTS {
            held.push(transfer.room().await);
        }
        assert_eq!(transfers.room.available_permits(), 0);
        assert_eq!(transfer.room().await.bytes.capacity(), SEALED_PART);
    }
}
