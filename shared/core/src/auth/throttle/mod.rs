//! Slows guesses down, across replicas, without shutting out whoever is guessed at.
//!
//! Counters in Redis by address, account and both, each with a delay that grows; a device that its owner has used
//! before is counted by itself. An attempt counts as failed from its beginning until it has succeeded. An attempt that is
//! refused because of others without a verdict waits for these: many right logins of one account at once all succeed,
//! and not one guess more is looked at.

mod counters;
mod in_flight;
mod local;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use plinth_domain::gcra::Verdict;
use plinth_platform::clock::unix_ms;
use plinth_platform::redis::RedisFailure;
use redis::Script;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub(crate) use counters::Attempt;
use counters::Counter;
pub(super) use counters::Guesser;
use in_flight::InFlight;
use local::Local;

use crate::{Error, Result, Stores};

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("begin.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));
static FAIL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("fail.lua")));

/// From so many failures on the owner is told, once an attack.
const TOLD_FROM: u32 = 10;

/// A process that takes an attempt and dies gives no verdict: it is not waited for any longer.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(15);

/// How long an attempt waits for the verdicts of those before it.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(8);

/// Attempts of this process that wait at once; further ones are refused.
const MAX_QUEUED: usize = 256;

/// The first and the longest pause before a waiting attempt asks again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(160);

/// Counts attempts.
#[derive(Clone)]
pub(crate) struct Throttle {
    stores: Stores,
    local: Arc<Local>,
    queue: Arc<Semaphore>,
}

/// Why an attempt was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal {
    wait_ms: u64,
    /// Every counter that refuses has attempts without a verdict: their success may lift the wait.
    is_open: bool,
}

impl Throttle {
    pub(crate) fn new(stores: &Stores) -> Self {
        Self {
            stores: stores.clone(),
            local: Arc::new(Local::new()),
            queue: Arc::new(Semaphore::new(MAX_QUEUED)),
        }
    }

    /// Takes an attempt, or refuses it for now. Waits for a short time while attempts that were taken before have no
    /// verdict: it is taken if they succeed.
    pub(crate) async fn begin(&self, attempt: &Attempt) -> Result<()> {
        let (end, mut pause, mut place) = (Instant::now() + QUEUE_TIMEOUT, FIRST_PAUSE, None);
        loop {
            let Some(refusal) = self.try_begin(attempt).await else {
                attempt.in_flight.set(InFlight::new(self, attempt));
                return Ok(());
            };
            if !attempt.queues || !refusal.is_open || Instant::now() >= end {
                return Err(refused(refusal));
            }
            if place.is_none() {
                place = Some(self.queue.try_acquire().map_err(|_| refused(refusal))?);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_begin(&self, attempt: &Attempt) -> Option<Refusal> {
        let now = self.stores.clock.now();
        match self.ask_begin(attempt, unix_ms(now)).await {
            Ok((0, _)) => None,
            Ok((wait_ms, open)) => Some(Refusal {
                wait_ms,
                is_open: open == 1,
            }),
            Err(error) => {
                tracing::debug!(%error, "attempts are counted in this process alone");
                self.local.begin(attempt, now)
            }
        }
    }

    async fn ask_begin(&self, attempt: &Attempt, now_ms: u64) -> Result<(u64, u8), RedisFailure> {
        let redis = &self.stores.redis;
        let mut call = BEGIN.prepare_invoke();
        call.arg(now_ms).arg(millis(GIVEN_UP_AFTER));
        for counter in &attempt.counters {
            call.key(redis.key(&counter.name))
                .arg(counter.backoff.free)
                .arg(millis(counter.backoff.first))
                .arg(millis(counter.backoff.cap))
                .arg(millis(counter.memory));
        }
        redis.run("throttle.begin", &call).await
    }

    /// The attempt has succeeded: what was counted by it alone is wiped out, the rest forgets this attempt.
    pub(crate) async fn succeeded(&self, attempt: &Attempt) {
        self.settle(attempt, |place| attempt.wiped.contains(&place))
            .await;
    }

    /// The attempt was not decided: it does not count.
    pub(crate) async fn undecided(&self, attempt: &Attempt) {
        self.settle(attempt, |_| false).await;
    }

    async fn settle(&self, attempt: &Attempt, is_wiped: impl Fn(usize) -> bool + Send) {
        attempt.in_flight.decide();
        let mut call = SETTLE.prepare_invoke();
        for (place, counter) in attempt.counters.iter().enumerate() {
            let wiped = is_wiped(place);
            self.local.settle(counter, wiped);
            call.key(self.stores.redis.key(&counter.name))
                .arg(u8::from(wiped));
        }
        // A counter that stays slows its own device or pair down a little.
        let _ = self.stores.redis.run::<()>("throttle.settle", &call).await;
    }

    /// The attempt has failed; returns of how many failures the owner is to be told now, if of any.
    pub(super) async fn failed(&self, attempt: &Attempt) -> Option<u32> {
        attempt.in_flight.decide();
        self.fail(&attempt.counters, attempt.told_by).await
    }

    async fn fail(&self, counters: &[Counter], told_by: Option<usize>) -> Option<u32> {
        let mut call = FAIL.prepare_invoke();
        call.arg(told_by.map_or(0, |place| place + 1))
            .arg(TOLD_FROM);
        for counter in counters {
            self.local.fail(counter);
            call.key(self.stores.redis.key(&counter.name));
        }
        let told: u32 = self.stores.redis.run("throttle.fail", &call).await.ok()?;
        (told > 0).then_some(told)
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::RateLimited(Verdict {
        allowed: false,
        remaining: 0,
        retry_after_ms: refusal.wait_ms,
        reset_ms: refusal.wait_ms,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
