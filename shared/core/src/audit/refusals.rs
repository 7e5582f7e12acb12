//! How many refusals of callers who are not known are written to the audit log, for each address: a client that guesses
//! would fill it otherwise. What is left out is counted, and the next event of the address says how much it was.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use plinth_domain::gcra::{Limit, decide};
use plinth_platform::telemetry::metrics;
use quick_cache::sync::Cache;
use time::OffsetDateTime;

use crate::access::network_of;

/// A hundred at once, and then a hundred an hour.
const LIMIT: Limit = Limit {
    burst: 100,
    interval_ms: 36_000,
};

/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// The addresses from which refusals came to this process. Clones share them.
#[derive(Clone)]
pub struct AnonymousRefusals(Arc<Cache<IpAddr, Arc<Mutex<Counted>>>>);

#[derive(Default)]
struct Counted {
    /// The theoretical arrival time of the limit.
    arrival_ms: Option<u64>,
    unlisted: u64,
}

impl Default for AnonymousRefusals {
    fn default() -> Self {
        Self(Arc::new(Cache::new(ADDRESSES)))
    }
}

impl AnonymousRefusals {
    /// Whether one of this address is written: with how many before it were not.
    pub(crate) fn admit(&self, address: IpAddr, at: OffsetDateTime) -> Option<u64> {
        let network = network_of(address);
        let made = self.0.get_or_insert_with(&network, || {
            Ok::<_, std::convert::Infallible>(Arc::default())
        });
        let Ok(counted) = made;
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let (verdict, arrival_ms) = decide(LIMIT, counted.arrival_ms, now_ms);
        counted.arrival_ms = Some(arrival_ms);
        if verdict.allowed {
            return Some(std::mem::take(&mut counted.unlisted));
        }
        counted.unlisted += 1;
        metrics::count_unlisted_refusal();
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_fills_no_log_and_what_is_left_out_is_counted() {
        let refusals = AnonymousRefusals::default();
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let at = OffsetDateTime::UNIX_EPOCH + Duration::from_hours(1);
        let written = (0..1_000)
            .filter(|_| refusals.admit(one, at).is_some())
            .count();
        assert_eq!(written, 100);
        assert_eq!(refusals.admit(other, at), Some(0));
        assert_eq!(refusals.admit(one, at + Duration::from_mins(1)), Some(900));
    }
}
