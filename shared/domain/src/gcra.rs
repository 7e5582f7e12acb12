//! The generic cell rate algorithm (ITU-T I.371, appendix A): a limit as one timestamp.
//!
//! The same arithmetic stands in Redis's script; here it serves when Redis is away.

/// A limit: `burst` requests at once, refilled at one per `interval_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub burst: u32,
    /// Milliseconds in which one request is refilled.
    pub interval_ms: u64,
}

impl Limit {
    /// So many requests a minute, a sixth of them at once. `None` where `count` is 0: no limit.
    pub fn per_minute(count: u32) -> Option<Self> {
        Self::with_burst(count, count.div_ceil(6))
    }

    /// So many requests a minute, half of them at once: for requests that honest clients send in bursts.
    pub fn per_minute_in_bursts(count: u32) -> Option<Self> {
        Self::with_burst(count, count.div_ceil(2))
    }

    fn with_burst(count: u32, burst: u32) -> Option<Self> {
        let interval_ms = 60_000_u64.checked_div(u64::from(count))?.max(1);
        Some(Self {
            burst: burst.max(1),
            interval_ms,
        })
    }
}

/// What a limit says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Requests that would still be allowed at this moment.
    pub remaining: u32,
    /// Milliseconds until a refused request may come again; 0 for an allowed one.
    pub retry_after_ms: u64,
    /// Milliseconds until the limit is whole again.
    pub reset_ms: u64,
}

/// Decides at `now_ms`, given the theoretical arrival time kept so far; returns the verdict and the one to keep.
pub fn decide(limit: Limit, kept_tat_ms: Option<u64>, now_ms: u64) -> (Verdict, u64) {
    let tolerance = limit.interval_ms * u64::from(limit.burst);
    let tat = kept_tat_ms.unwrap_or(now_ms).max(now_ms);
    let next = tat + limit.interval_ms;
    let earliest = next.saturating_sub(tolerance);
    if earliest > now_ms {
        let verdict = Verdict {
            allowed: false,
            remaining: 0,
            retry_after_ms: earliest - now_ms,
            reset_ms: tat - now_ms,
        };
        return (verdict, tat);
    }
    let remaining =
        u32::try_from((now_ms + tolerance - next) / limit.interval_ms).unwrap_or(u32::MAX);
    (
        Verdict {
            allowed: true,
            remaining,
            retry_after_ms: 0,
            reset_ms: next - now_ms,
        },
        next,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_the_next_waits_one_interval() {
        let limit = Limit {
            burst: 3,
            interval_ms: 1000,
        };
        let mut tat = None;
        for remaining in [2, 1, 0] {
            let (verdict, next) = decide(limit, tat, 50_000);
            assert!(verdict.allowed);
            assert_eq!(verdict.remaining, remaining);
            tat = Some(next);
        }
        let (refused, kept) = decide(limit, tat, 50_000);
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after_ms, 1000);
        let (allowed, _) = decide(limit, Some(kept), 51_000);
        assert!(allowed.allowed);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_plus_the_refill(
            burst in 1u32..20, interval_ms in 1u64..1000, steps in prop::collection::vec(0u64..500, 1..200),
        ) {
            let limit = Limit { burst, interval_ms };
            let (mut now, mut tat, mut passed) = (1_000_000u64, None, 0u64);
            let start = now;
            for step in steps {
                now += step;
                let (verdict, next) = decide(limit, tat, now);
                tat = Some(next);
                passed += u64::from(verdict.allowed);
                if !verdict.allowed {
                    let (later, _) = decide(limit, tat, now + verdict.retry_after_ms);
                    prop_assert!(later.allowed, "retry_after was not enough");
                }
            }
            prop_assert!(passed <= u64::from(burst) + (now - start) / interval_ms + 1);
        }
    }
}
