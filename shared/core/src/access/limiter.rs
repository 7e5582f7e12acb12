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
    /// Counts a request against each limit until one refuses: that one, or the one that is nearest to it.
    pub(super) fn count<'a>(
        &self,
        counted: impl Iterator<Item = (&'a str, Limit)>,
        now: OffsetDateTime,
    ) -> Option<(Limit, Verdict)> {
        let now_ms = unix_ms(now);
        let mut tightest: Option<(Limit, Verdict)> = None;
        for (key, limit) in counted {
            let (verdict, tat) = decide(limit, self.arrivals.get(key), now_ms);
            self.arrivals.insert(key.to_owned(), tat);
            if !verdict.allowed {
                return Some((limit, verdict));
            }
            if tightest.is_none_or(|(_, known)| verdict.remaining < known.remaining) {
                tightest = Some((limit, verdict));
            }
        }
        tightest
    }
}
