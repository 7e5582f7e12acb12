//! The counters of this process alone, for while Redis is away: the same arithmetic, never open.

use std::sync::{Mutex, PoisonError};

use plinth_platform::clock::unix_ms;
use quick_cache::sync::Cache;
use time::OffsetDateTime;

use super::Refusal;
use super::counters::{Attempt, Counter};

/// Counters remembered at once; the least used are forgotten first.
const REMEMBERED: usize = 50_000;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    until_ms: u64,
    /// Attempts that were taken and have no verdict.
    undecided: u32,
}

/// Counts without Redis.
pub(super) struct Local {
    states: Cache<String, State>,
    /// An attempt reads several counters and writes them.
    turn: Mutex<()>,
}

impl Local {
    pub(super) fn new() -> Self {
        Self {
            states: Cache::new(REMEMBERED),
            turn: Mutex::default(),
        }
    }

    /// Takes the attempt, or returns why not.
    pub(super) fn begin(&self, attempt: &Attempt, now: OffsetDateTime) -> Option<Refusal> {
        let now_ms = unix_ms(now);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |counter: &Counter| self.states.get(&counter.name).unwrap_or_default();
        let refusing: Vec<State> = attempt
            .counters
            .iter()
            .map(state)
            .filter(|state| state.until_ms > now_ms)
            .collect();
        if let Some(until_ms) = refusing.iter().map(|state| state.until_ms).max() {
            let is_open = refusing.iter().all(|state| state.undecided > 0);
            return Some(Refusal {
                wait_ms: until_ms - now_ms,
                is_open,
            });
        }
        for counter in &attempt.counters {
            let State {
                failures,
                undecided,
                ..
            } = state(counter);
            let (failures, undecided) = (failures.saturating_add(1), undecided.saturating_add(1));
            let delay =
                u64::try_from(counter.backoff.delay(failures).as_millis()).unwrap_or(u64::MAX);
            let until_ms = now_ms.saturating_add(delay);
            self.states.insert(
                counter.name.clone(),
                State {
                    failures,
                    until_ms,
                    undecided,
                },
            );
        }
        None
    }

    /// An attempt did not fail: the counter forgets it, or is wiped out.
    pub(super) fn settle(&self, counter: &Counter, wiped: bool) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = self.states.get(&counter.name) else {
            return;
        };
        let failures = if wiped {
            0
        } else {
            state.failures.saturating_sub(1)
        };
        let undecided = state.undecided.saturating_sub(1);
        if failures == 0 && undecided == 0 {
            self.states.remove(&counter.name);
        } else {
            self.states.insert(
                counter.name.clone(),
                State {
                    failures,
                    until_ms: 0,
                    undecided,
                },
            );
        }
    }

    /// An attempt has failed, which it counted as already.
    pub(super) fn fail(&self, counter: &Counter) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = self.states.get(&counter.name) {
            let undecided = state.undecided.saturating_sub(1);
            self.states
                .insert(counter.name.clone(), State { undecided, ..state });
        }
    }
}

#[cfg(test)]
mod tests {
    use plinth_domain::id::UserId;
    use time::macros::datetime;

    use super::super::Guesser;
    use super::*;

    #[test]
    fn attempts_are_free_then_delayed_and_a_success_wipes_them_out() {
        let local = Local::new();
        let attempt = Attempt::second_factor(UserId(uuid::Uuid::nil()), Guesser::Stranger);
        let counter = &attempt.counters[0];
        let now = datetime!(2026-11-25 12:00 UTC);
        for _ in 0..6 {
            assert_eq!(local.begin(&attempt, now), None);
        }
        let open = Refusal {
            wait_ms: 60_000,
            is_open: true,
        };
        assert_eq!(
            local.begin(&attempt, now),
            Some(open),
            "six may still succeed"
        );
        for _ in 0..6 {
            local.fail(counter);
        }
        assert_eq!(
            local.begin(&attempt, now),
            Some(Refusal {
                is_open: false,
                ..open
            })
        );
        let later = now + time::Duration::minutes(1);
        assert_eq!(local.begin(&attempt, later), None);
        let longer = Refusal {
            wait_ms: 120_000,
            is_open: true,
        };
        assert_eq!(local.begin(&attempt, later), Some(longer));
        local.settle(counter, true);
        assert_eq!(local.begin(&attempt, later), None);
    }

    #[test]
    fn what_did_not_fail_is_not_counted() {
        let local = Local::new();
        let attempt = Attempt::second_factor(UserId(uuid::Uuid::nil()), Guesser::Stranger);
        let counter = &attempt.counters[0];
        let now = datetime!(2026-11-25 12:00 UTC);
        for _ in 0..20 {
            assert_eq!(local.begin(&attempt, now), None);
            local.settle(counter, false);
        }
    }
}
