//! The limits of this process alone, for while Redis is away: the same arithmetic, a bounded number of clients.

use plinth_domain::gcra::{Limit, Verdict, decide};
use plinth_platform::clock::unix_ms;
use quick_cache::sync::Cache;
use time::OffsetDateTime;

/// Clients remembered at once; the least used are forgotten first.
const CLIENTS: usize = 50_000;

pub(super) struct LocalLimiter {
    arrivals: Cache<String, u64>,
}

impl Default for LocalLimiter {
    fn default() -> Self {
        Self { arrivals: Cache::new(CLIENTS) }
    }
}

impl LocalLimiter {
    /// Counts a request against each limit until one refuses.
    pub(super) fn count(&self, counted: &[(&str, Limit)], now: OffsetDateTime) -> Vec<Verdict> {
        let now_ms = unix_ms(now);
        let mut verdicts = Vec::with_capacity(counted.len());
        for (key, limit) in counted {
            let (verdict, tat) = decide(*limit, self.arrivals.get(*key), now_ms);
            self.arrivals.insert((*key).to_owned(), tat);
            verdicts.push(verdict);
            if !verdict.allowed {
                break;
            }
        }
        verdicts
    }
}
