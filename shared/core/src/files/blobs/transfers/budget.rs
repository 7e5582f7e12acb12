//! Who has how many units, who waits for some, and who has to give theirs up.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use plinth_domain::id::UserId;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::PART_UNITS;
use super::meter::Meter;

/// Parts that this process holds at once.
const MAX_PARTS: usize = 12;

/// The whole budget, in units of a mebibyte.
pub(super) const MAX_UNITS: usize = MAX_PARTS * PART_UNITS;

/// Buffers of one unit at most: what is left lets uploads that have one go on to a part.
const MAX_SMALL: usize = MAX_UNITS / 2;

/// Units of one account at most.
pub(super) const MAX_OF_ACCOUNT: usize = MAX_UNITS * 2 / 3;

/// One part of an upload fills while another one is on its way.
const PARTS_OF_ONE: usize = 2;

/// Bytes a second below which an upload gives its buffer up while others wait.
const SLOW: u64 = 64 * 1024;

/// The same for an account that has more than its share, while one waits that has less.
const SLOW_OVER_SHARE: u64 = 1024 * 1024;

#[derive(Default)]
pub(super) struct Budget {
    used: usize,
    small: usize,
    accounts: HashMap<UserId, usize>,
    /// Buffers that fill.
    filling: HashMap<u64, Arc<Holder>>,
    /// In the order in which they came.
    waiting: Vec<Waiter>,
    last_id: u64,
    /// How many grants there were.
    pub(super) granted: u64,
    /// Uploads under way.
    pub(super) transfers: usize,
    /// Buffers of parts that nothing fills now.
    pub(super) spare: Vec<Vec<u8>>,
}

/// Units of an account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant {
    pub(super) id: u64,
    pub(super) account: UserId,
    pub(super) units: usize,
}

struct Waiter {
    grant: Grant,
    notify: Arc<Notify>,
}

/// A buffer that fills, as those who wait see it.
pub(super) struct Holder {
    account: UserId,
    units: usize,
    meter: Mutex<Meter>,
    is_preempted: AtomicBool,
    preempted: Notify,
}

impl Budget {
    /// Queues for units; the id of the place.
    pub(super) fn wait(&mut self, grant: Grant, notify: Arc<Notify>) -> u64 {
        self.last_id += 1;
        let grant = Grant {
            id: self.last_id,
            ..grant
        };
        self.waiting.push(Waiter { grant, notify });
        self.last_id
    }

    /// Leaves the queue; false if the units were granted.
    pub(super) fn leave(&mut self, id: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiter| waiter.grant.id != id);
        self.waiting.len() < before
    }

    /// Grants what is free, to the account with the fewest units first. If that is not enough, makes slow uploads give
    /// theirs up.
    pub(super) fn serve(&mut self, now: Instant) {
        while let Some(next) = self.next() {
            let Grant { account, units, .. } = self.waiting[next].grant;
            if MAX_UNITS - self.used < units {
                let missing = units - (MAX_UNITS - self.used);
                return self.preempt(account, units, missing, now);
            }
            let waiter = self.waiting.remove(next);
            self.used += units;
            self.small += usize::from(units == 1);
            *self.accounts.entry(account).or_default() += units;
            self.granted += 1;
            waiter.notify.notify_one();
        }
    }

    /// Whose turn it is, of those who may have what they wait for.
    fn next(&self) -> Option<usize> {
        let may_have = |waiter: &&Waiter| {
            let Grant { account, units, .. } = waiter.grant;
            self.of(account) + units <= MAX_OF_ACCOUNT && (units > 1 || self.small < MAX_SMALL)
        };
        let candidates = self.waiting.iter().filter(may_have);
        let next = candidates
            .min_by_key(|waiter| (self.of(waiter.grant.account), waiter.grant.id))?
            .grant
            .id;
        self.waiting
            .iter()
            .position(|waiter| waiter.grant.id == next)
    }

    fn of(&self, account: UserId) -> usize {
        self.accounts.get(&account).copied().unwrap_or(0)
    }

    /// Makes uploads give up this many units for an account, those first that fill most slowly.
    fn preempt(&self, account: UserId, units: usize, missing: usize, now: Instant) {
        let accounts: HashSet<_> = self
            .accounts
            .keys()
            .chain(self.waiting.iter().map(|waiter| &waiter.grant.account))
            .collect();
        let share = MAX_UNITS / accounts.len().max(1);
        let is_under = self.of(account) + units <= share;
        let limit = |holder: &Holder| {
            let is_over = is_under && self.of(holder.account) > share;
            if is_over { SLOW_OVER_SHARE } else { SLOW }
        };
        let given_up = self.filling.values().filter(|holder| holder.is_preempted());
        let mut freed: usize = given_up.map(|holder| holder.units).sum();
        let candidates = self
            .filling
            .values()
            .filter(|holder| !holder.is_preempted());
        let mut slow: Vec<_> = candidates
            .filter_map(|holder| Some((holder.rate(now)?, holder)))
            .filter(|(rate, holder)| *rate < limit(holder))
            .collect();
        slow.sort_unstable_by_key(|(rate, _)| *rate);
        for (_, holder) in slow {
            if freed >= missing {
                break;
            }
            holder.preempt();
            freed += holder.units;
        }
    }

    /// The buffer of this grant fills from now on.
    pub(super) fn hold(&mut self, grant: &Grant) -> Arc<Holder> {
        let holder = Arc::new(Holder {
            account: grant.account,
            units: grant.units,
            meter: Mutex::new(Meter::new(Instant::now())),
            is_preempted: AtomicBool::new(false),
            preempted: Notify::new(),
        });
        self.filling.insert(grant.id, holder.clone());
        holder
    }

    /// The buffer of this grant does not fill any more.
    pub(super) fn keep(&mut self, id: u64) {
        self.filling.remove(&id);
    }

    /// Takes units back and grants them to those who wait.
    pub(super) fn release(&mut self, grant: &Grant, now: Instant) {
        self.filling.remove(&grant.id);
        self.used -= grant.units;
        self.small -= usize::from(grant.units == 1);
        if let Some(units) = self.accounts.get_mut(&grant.account) {
            *units -= grant.units;
            if *units == 0 {
                self.accounts.remove(&grant.account);
            }
        }
        if !self.waiting.is_empty() {
            self.serve(now);
        }
    }

    /// Frees buffers that the uploads under way do not need soon, or that are outside of the budget.
    pub(super) fn trim_spare(&mut self) {
        let needed = MAX_PARTS.min(self.transfers * PARTS_OF_ONE);
        let room = (MAX_UNITS - self.used) / PART_UNITS;
        self.spare.truncate(needed.min(room));
        self.spare.iter_mut().for_each(Vec::clear);
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used
    }
}

impl Holder {
    pub(super) fn count(&self, bytes: usize, now: Instant) {
        self.meter().add(bytes, now);
    }

    fn rate(&self, now: Instant) -> Option<u64> {
        self.meter().rate(now)
    }

    fn meter(&self) -> std::sync::MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn preempt(&self) {
        self.is_preempted.store(true, Ordering::Relaxed);
        self.preempted.notify_one();
    }

    pub(super) fn is_preempted(&self) -> bool {
        self.is_preempted.load(Ordering::Relaxed)
    }

    /// Ends when it is to be given up.
    pub(super) async fn preempted(&self) {
        if !self.is_preempted() {
            self.preempted.notified().await;
        }
    }
}
