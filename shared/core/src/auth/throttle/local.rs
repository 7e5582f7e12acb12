//! The counters of this process alone, for while Redis is away: the same arithmetic, never open.

use std::sync::{Mutex, PoisonError};

use plinth_platform::clock::unix_ms;
use quick_cache::sync::Cache;
use time::OffsetDateTime;

use super::counters::{Attempt, Counter};

/// Counters remembered at once; the least used are forgotten first.
const REMEMBERED: usize = 50_000;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    until_ms: u64,
}

/// Counts without Redis.
pub(super) struct Local {
    states: Cache<String, State>,
    /// An attempt reads several counters and writes them.
    turn: Mutex<()>,
}

impl Local {
    pub(super) fn new() -> Self {
        Self { states: Cache::new(REMEMBERED), turn: Mutex::default() }
    }

    /// Takes the attempt, or says how many milliseconds to wait.
    pub(super) fn begin(&self, attempt: &Attempt, now: OffsetDateTime) -> Option<u64> {
        let now_ms = unix_ms(now);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |counter: &Counter| self.states.get(&counter.name).unwrap_or_default();
        let wait =
            attempt.counters.iter().map(|counter| state(counter).until_ms.saturating_sub(now_ms)).max();
        if let Some(wait) = wait.filter(|wait| *wait > 0) {
            return Some(wait);
        }
        for counter in &attempt.counters {
            let failures = state(counter).failures.saturating_add(1);
            let delay = u64::try_from(counter.backoff.delay(failures).as_millis()).unwrap_or(u64::MAX);
            let until_ms = now_ms.saturating_add(delay);
            self.states.insert(counter.name.clone(), State { failures, until_ms });
        }
        None
    }

    /// The attempt did not fail after all.
    pub(super) fn take_back(&self, counters: &[&Counter]) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        for counter in counters {
            let state = self.states.get(&counter.name).unwrap_or_default();
            let failures = state.failures.saturating_sub(1);
            self.states.insert(counter.name.clone(), State { failures, until_ms: 0 });
        }
    }

    pub(super) fn wipe(&self, counters: &[&Counter]) {
        for counter in counters {
            self.states.remove(&counter.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use plinth_domain::id::UserId;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn attempts_are_free_then_delayed_and_a_success_wipes_them_out() {
        let local = Local::new();
        let attempt = Attempt::second_factor(UserId(uuid::Uuid::nil()));
        let now = datetime!(2026-11-25 12:00 UTC);
        for _ in 0..6 {
            assert_eq!(local.begin(&attempt, now), None);
        }
        assert_eq!(local.begin(&attempt, now), Some(60_000));
        let later = now + time::Duration::minutes(1);
        assert_eq!(local.begin(&attempt, later), None);
        assert_eq!(local.begin(&attempt, later), Some(120_000));
        local.wipe(&[&attempt.counters[0]]);
        assert_eq!(local.begin(&attempt, later), None);
    }

    #[test]
    fn what_did_not_fail_is_not_counted() {
        let local = Local::new();
        let attempt = Attempt::second_factor(UserId(uuid::Uuid::nil()));
        let now = datetime!(2026-11-25 12:00 UTC);
        for _ in 0..20 {
            assert_eq!(local.begin(&attempt, now), None);
            local.take_back(&[&attempt.counters[0]]);
        }
    }
}
