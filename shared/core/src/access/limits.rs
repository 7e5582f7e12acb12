//! The rate limits of a request: which count, what of them is paid for already, and what is said of it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use plinth_domain::gcra::{Limit, Verdict, decide};
use plinth_domain::id::{ApiKeyId, UserId};
use plinth_platform::clock::unix_ms;
use plinth_platform::redis::Redis;
use plinth_platform::settings::LimitsSettings;
use quick_cache::sync::Cache;
use time::OffsetDateTime;

use super::Presented;

/// Clients remembered at once; the least used are forgotten first.
const CLIENTS: usize = 50_000;

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Address(IpAddr),
    /// An address, where it presents credentials.
    Guesses(IpAddr),
    /// An address, where it refreshes sessions.
    Refreshes(IpAddr),
    User(UserId),
    ApiKey(ApiKeyId),
}

/// What a request is for, as far as its limits depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It presents credentials that can be guessed at.
    Guess,
    /// It presents a refresh token, which cannot be guessed at: its limit bounds the load alone. It does not count among
    /// the other requests of its address, which may be an office or a server-side renderer.
    Refresh,
    Other,
}

/// One limit that a request counts against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    subject: Subject,
    pub(super) limit: Limit,
}

impl Counted {
    /// The key of its state in Redis.
    pub(super) fn key(&self, redis: &Redis) -> String {
        match self.subject {
            Subject::Address(address) => redis.key(&format!("limit:ip:{address}")),
            Subject::Guesses(address) => redis.key(&format!("limit:auth:{address}")),
            Subject::Refreshes(address) => redis.key(&format!("limit:refresh:{address}")),
            Subject::User(user) => redis.key(&format!("limit:user:{user}")),
            Subject::ApiKey(key) => redis.key(&format!("limit:api-key:{key}")),
        }
    }
}

/// The limit nearest to refusing, and what it says.
pub(super) type Standing = Option<(Limit, Verdict)>;

/// What Redis gave for one limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payment {
    /// Requests paid for, this one among them.
    pub(super) requests: u32,
    pub(super) remaining: u32,
    pub(super) reset_ms: u64,
}

/// Requests that are paid for in Redis and not spent yet.
struct Purse {
    requests: AtomicU32,
    /// What remained in Redis, and how long until it is whole, at the last payment.
    remaining: AtomicU32,
    reset_ms: AtomicU64,
}

/// The limits in force.
pub(super) struct Limits {
    per_address: Option<Limit>,
    per_user: Option<Limit>,
    per_api_key: Option<Limit>,
    guesses: Option<Limit>,
    refreshes: Option<Limit>,
    purses: Cache<Subject, Arc<Purse>>,
    /// Theoretical arrival times, for while Redis is away: this process alone, by the same arithmetic.
    arrivals: Cache<Subject, u64>,
}

impl Limits {
    pub(super) fn new(settings: &LimitsSettings) -> Self {
        Self {
            per_address: Limit::per_minute(settings.ip_per_minute),
            per_user: Limit::per_minute(settings.user_per_minute),
            per_api_key: Limit::per_minute(settings.api_key_per_minute),
            guesses: Limit::per_minute_in_bursts(settings.auth_per_minute),
            refreshes: Limit::per_minute_in_bursts(settings.refresh_per_minute),
            purses: Cache::new(CLIENTS),
            arrivals: Cache::new(CLIENTS),
        }
    }

    /// What a request counts against.
    pub(super) fn of(
        &self,
        ip: IpAddr,
        purpose: Purpose,
        presented: Option<Presented<'_>>,
    ) -> Vec<Counted> {
        let network = network_of(ip);
        let (caller, per_caller) = match presented {
            None => (None, None),
            Some(Presented::AccessToken(claims)) => {
                (Some(Subject::User(claims.user())), self.per_user)
            }
            Some(Presented::ApiKey { key, .. }) => (Some(Subject::ApiKey(key)), self.per_api_key),
        };
        let address = (Some(Subject::Address(network)), self.per_address);
        let limits = match purpose {
            Purpose::Other => [address, (None, None), (caller, per_caller)],
            Purpose::Guess => [
                address,
                (Some(Subject::Guesses(network)), self.guesses),
                (caller, per_caller),
            ],
            Purpose::Refresh => [
                (None, None),
                (Some(Subject::Refreshes(network)), self.refreshes),
                (caller, per_caller),
            ],
        };
        limits
            .into_iter()
            .filter_map(|(subject, limit)| {
                Some(Counted {
                    subject: subject?,
                    limit: limit?,
                })
            })
            .collect()
    }

    /// Spends what is paid for: takes those limits out of the list and says how the request stands with them.
    pub(super) fn spend(&self, counted: &mut Vec<Counted>) -> Standing {
        let mut standing = None;
        counted.retain(|one| {
            match self
                .purses
                .get(&one.subject)
                .and_then(|purse| purse.spend(one.limit))
            {
                Some(verdict) => {
                    standing = tighter(standing, (one.limit, verdict));
                    false
                }
                None => true,
            }
        });
        standing
    }

    /// Keeps what was paid beyond this request.
    pub(super) fn keep(&self, one: &Counted, payment: Payment) -> (Limit, Verdict) {
        let beyond = payment.requests - 1;
        if beyond > 0 {
            let purse = self.purses.get(&one.subject).unwrap_or_else(|| {
                let purse = Arc::new(Purse::default());
                self.purses.insert(one.subject, purse.clone());
                purse
            });
            purse.fill(beyond, payment);
        }
        let remaining = (payment.remaining + beyond).min(one.limit.burst);
        (
            one.limit,
            Verdict {
                allowed: true,
                remaining,
                retry_after_ms: 0,
                reset_ms: payment.reset_ms,
            },
        )
    }

    /// Counts without Redis until one refuses: that one, or the one that is nearest to it.
    pub(super) fn count_alone(&self, counted: &[Counted], now: OffsetDateTime) -> Standing {
        let now_ms = unix_ms(now);
        let mut standing = None;
        for one in counted {
            let (verdict, tat) = decide(one.limit, self.arrivals.get(&one.subject), now_ms);
            self.arrivals.insert(one.subject, tat);
            if !verdict.allowed {
                return Some((one.limit, verdict));
            }
            standing = tighter(standing, (one.limit, verdict));
        }
        standing
    }
}

/// The one of the two that is nearer to refusing.
pub(super) fn tighter(standing: Standing, other: (Limit, Verdict)) -> Standing {
    match standing {
        Some((_, verdict)) if verdict.remaining <= other.1.remaining => standing,
        _ => Some(other),
    }
}

impl Default for Purse {
    fn default() -> Self {
        Self {
            requests: AtomicU32::new(0),
            remaining: AtomicU32::new(0),
            reset_ms: AtomicU64::new(0),
        }
    }
}

impl Purse {
    /// Two payments of one client at once can leave more than the limit: what remained is what the later one saw.
    fn spend(&self, limit: Limit) -> Option<Verdict> {
        let less_one = |requests: u32| requests.checked_sub(1);
        let before = self
            .requests
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less_one)
            .ok()?;
        Some(Verdict {
            allowed: true,
            remaining: (self.remaining.load(Ordering::Relaxed) + before - 1).min(limit.burst),
            retry_after_ms: 0,
            reset_ms: self.reset_ms.load(Ordering::Relaxed),
        })
    }

    fn fill(&self, requests: u32, payment: Payment) {
        self.remaining.store(payment.remaining, Ordering::Relaxed);
        self.reset_ms.store(payment.reset_ms, Ordering::Relaxed);
        self.requests.fetch_add(requests, Ordering::AcqRel);
    }
}

/// What counts as one client: an address, or in IPv6 the /64 that one subscriber gets.
pub(crate) fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What one place can have many networks of: an address, or in IPv6 the /48 that a site gets at most (RFC 6177).
pub(crate) fn site_of(ip: IpAddr) -> IpAddr {
    match network_of(ip) {
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::new(&LimitsSettings {
            ip_per_minute: 600,
            user_per_minute: 0,
            api_key_per_minute: 60,
            auth_per_minute: 60,
            refresh_per_minute: 1200,
        })
    }

    #[test]
    fn an_ipv6_subscriber_is_one_client_and_a_mapped_address_is_its_own() {
        let address = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(address("2001:db8:1:2:3:4:5:6"), address("2001:db8:1:2::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    #[test]
    fn what_is_paid_ahead_is_spent_once_and_then_asked_for_again() {
        let limits = limits();
        let ip = "192.0.2.1".parse().expect("an address");
        let one = limits.of(ip, Purpose::Other, None)[0];
        let (_, verdict) = limits.keep(
            &one,
            Payment {
                requests: 3,
                remaining: 97,
                reset_ms: 300,
            },
        );
        assert_eq!(verdict.remaining, 99);
        for remaining in [98, 97] {
            let mut counted = limits.of(ip, Purpose::Other, None);
            let (_, verdict) = limits.spend(&mut counted).expect("it is paid for");
            assert!(counted.is_empty() && verdict.allowed);
            assert_eq!(verdict.remaining, remaining);
        }
        let mut counted = limits.of(ip, Purpose::Other, None);
        assert!(limits.spend(&mut counted).is_none());
        assert_eq!(counted.len(), 1);
    }

    #[test]
    fn what_remains_never_exceeds_the_limit() {
        let limits = limits();
        let ip = "192.0.2.1".parse().expect("an address");
        let one = limits.of(ip, Purpose::Other, None)[0];
        // Two payments at once, kept in the other order than Redis made them.
        for remaining in [36, 68] {
            limits.keep(
                &one,
                Payment {
                    requests: 32,
                    remaining,
                    reset_ms: 300,
                },
            );
        }
        let mut spent = 0;
        while let Some((limit, verdict)) = limits.spend(&mut limits.of(ip, Purpose::Other, None)) {
            assert!(verdict.remaining <= limit.burst, "{verdict:?} of {limit:?}");
            spent += 1;
        }
        assert_eq!(spent, 62);
        let (limit, verdict) = limits.keep(
            &one,
            Payment {
                requests: 32,
                remaining: 100,
                reset_ms: 300,
            },
        );
        assert_eq!(verdict.remaining, limit.burst);
    }

    #[test]
    fn a_guess_counts_twice_a_refresh_apart_and_a_key_by_itself() {
        let ip = "192.0.2.1".parse().expect("an address");
        assert_eq!(limits().of(ip, Purpose::Guess, None).len(), 2);
        let refresh = limits().of(ip, Purpose::Refresh, None);
        assert_eq!(
            refresh
                .iter()
                .map(|one| one.limit.burst)
                .collect::<Vec<_>>(),
            [600]
        );
        let key = Presented::ApiKey {
            key: ApiKeyId(uuid::Uuid::nil()),
            user: UserId(uuid::Uuid::nil()),
        };
        assert_eq!(limits().of(ip, Purpose::Other, Some(key)).len(), 2);
    }
}
