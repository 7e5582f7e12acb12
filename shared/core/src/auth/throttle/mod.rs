//! Slows guesses down, across replicas, without shutting out whoever is guessed at.
//!
//! Counters in Redis by address, account and both, each with a delay that grows; a device that its owner has used
//! before is counted by itself. An attempt counts as failed from its beginning until it has succeeded.

mod counters;
mod local;

use std::sync::{Arc, LazyLock};

use plinth_domain::gcra::Verdict;
use plinth_platform::clock::unix_ms;
use plinth_platform::redis::RedisFailure;
use redis::Script;

pub(crate) use counters::Attempt;
use counters::Counter;
use local::Local;

use crate::{Error, Result, Stores};

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("begin.lua")));
static TAKE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take_back.lua")));
static TELL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("tell.lua")));

/// From so many failures on the owner is told, once an attack.
const TOLD_FROM: u32 = 10;

/// Counts attempts.
#[derive(Clone)]
pub(crate) struct Throttle {
    stores: Stores,
    local: Arc<Local>,
}

impl Throttle {
    pub(crate) fn new(stores: &Stores) -> Self {
        Self { stores: stores.clone(), local: Arc::new(Local::new()) }
    }

    /// Takes an attempt, or refuses it for now.
    pub(crate) async fn begin(&self, attempt: &Attempt) -> Result<()> {
        let now = self.stores.clock.now();
        let wait = match self.ask_begin(attempt, unix_ms(now)).await {
            Ok(wait) => (wait > 0).then_some(wait),
            Err(error) => {
                tracing::debug!(%error, "attempts are counted in this process alone");
                self.local.begin(attempt, now)
            }
        };
        wait.map_or(Ok(()), |wait| {
            Err(Error::RateLimited(Verdict {
                allowed: false,
                remaining: 0,
                retry_after_ms: wait,
                reset_ms: wait,
            }))
        })
    }

    async fn ask_begin(&self, attempt: &Attempt, now_ms: u64) -> Result<u64, RedisFailure> {
        let redis = &self.stores.redis;
        let mut call = BEGIN.prepare_invoke();
        call.arg(now_ms);
        for counter in &attempt.counters {
            let millis =
                |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
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
        let (wiped, kept): (Vec<_>, Vec<_>) =
            attempt.counters.iter().enumerate().partition(|(place, _)| attempt.wiped.contains(place));
        let of =
            |list: Vec<(usize, _)>| list.into_iter().map(|(_, counter)| counter).collect::<Vec<&Counter>>();
        let (wiped, kept) = (of(wiped), of(kept));
        self.local.wipe(&wiped);
        if !wiped.is_empty() {
            let mut command = redis::cmd("UNLINK");
            for counter in &wiped {
                command.arg(self.stores.redis.key(&counter.name));
            }
            // A counter that stays slows its own device or pair down a little.
            let _ = self.stores.redis.command::<()>("throttle.wipe", &command).await;
        }
        self.forget(&kept).await;
    }

    /// The attempt was not decided: it does not count.
    pub(crate) async fn undecided(&self, attempt: &Attempt) {
        self.forget(&attempt.counters.iter().collect::<Vec<_>>()).await;
    }

    async fn forget(&self, counters: &[&Counter]) {
        if counters.is_empty() {
            return;
        }
        self.local.take_back(counters);
        let mut call = TAKE_BACK.prepare_invoke();
        for counter in counters {
            call.key(self.stores.redis.key(&counter.name));
        }
        let _ = self.stores.redis.run::<()>("throttle.take_back", &call).await;
    }

    /// The attempt has failed; of how many failures the owner is to be told now, if of any.
    pub(super) async fn failed(&self, attempt: &Attempt) -> Option<u32> {
        let counter = &attempt.counters[attempt.told_by?];
        let mut call = TELL.key(self.stores.redis.key(&counter.name));
        call.arg(TOLD_FROM);
        let told: u32 = self.stores.redis.run("throttle.tell", &call).await.ok()?;
        (told > 0).then_some(told)
    }
}
