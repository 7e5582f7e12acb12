//! Whether this process may believe the copies in Redis.
//!
//! Trust is a lease. A process renews it by a write to Redis, an entry in PostgreSQL of how long it believes copies, and
//! then a look for notes, all of which it settles. A change that could not tell Redis notes its keys in PostgreSQL, in
//! its own transaction, and before it is acknowledged waits until each other process has settled the note or stopped
//! believing. So it does not matter in which way Redis fails, nor which process notices.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plinth_platform::crypto::unique_name;
use plinth_platform::database::PgPool;
use plinth_platform::error_chain;
use tokio_util::task::AbortOnDropHandle;

use super::{lift, repository};
use crate::cleanup::{Batch, Pass, PassedOver};
use crate::{Error, Result, Stores};

/// How often notes are looked for.
const NOTES_INTERVAL: Duration = Duration::from_secs(1);

/// How often the lease is renewed: every second look.
const LOOKS_PER_RENEWAL: u64 = 2;

/// How long copies are believed after the start of the last renewal.
pub(super) const LEASE: Duration = Duration::from_secs(5);

/// How often a change looks whether its notes are settled.
const SETTLED_INTERVAL: Duration = Duration::from_millis(50);

/// How long the mark that a renewal writes to Redis stands. Nothing reads it.
const MARK_MS: u64 = 10_000;

/// The trust of one process. Clones share it.
#[derive(Debug, Clone)]
pub struct Trust(Arc<State>);

#[derive(Debug)]
struct State {
    /// This start of this process, as PostgreSQL knows it.
    process: String,
    started: Instant,
    /// In milliseconds after `started`; 0 is not at all.
    believes_until_ms: AtomicU64,
    /// The outages of Redis that the last renewal has seen.
    outages: AtomicU64,
    /// Invalidations that failed. Held while the lease is written.
    losses: Mutex<u64>,
}

/// What a renewal starts from. Anything that goes wrong after it makes it void.
struct Attempt {
    began: Instant,
    outages: u64,
    losses: u64,
}

impl Default for Trust {
    /// Begins without trust.
    fn default() -> Self {
        Self(Arc::new(State {
            process: unique_name(),
            started: Instant::now(),
            believes_until_ms: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            losses: Mutex::new(0),
        }))
    }
}

impl Trust {
    /// Returns whether copies may be believed. `outages` is what Redis counts now.
    pub(crate) fn holds(&self, outages: u64) -> bool {
        let State {
            started,
            believes_until_ms,
            outages: seen,
            ..
        } = &*self.0;
        seen.load(Ordering::Acquire) == outages
            && millis(started.elapsed()) < believes_until_ms.load(Ordering::Acquire)
    }

    /// Ends the lease: an invalidation could not be written. The next renewal settles what it has left behind.
    pub(crate) fn lose(&self) {
        let mut losses = self.0.losses.lock().unwrap_or_else(PoisonError::into_inner);
        *losses += 1;
        self.0.believes_until_ms.store(0, Ordering::Release);
    }

    fn attempt(&self, stores: &Stores) -> Attempt {
        let losses = *self.0.losses.lock().unwrap_or_else(PoisonError::into_inner);
        Attempt {
            began: Instant::now(),
            outages: stores.redis.outages(),
            losses,
        }
    }

    fn renewed(&self, attempt: &Attempt) {
        let losses = self.0.losses.lock().unwrap_or_else(PoisonError::into_inner);
        if *losses == attempt.losses {
            let until = attempt.began + LEASE - self.0.started;
            self.0.outages.store(attempt.outages, Ordering::Release);
            self.0
                .believes_until_ms
                .store(millis(until), Ordering::Release);
        }
    }
}

/// Renews the trust of the process until the handle is dropped.
pub(crate) fn keep_trust(stores: &Stores) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(keep(stores.clone())))
}

async fn keep(stores: Stores) {
    let mut interval = tokio::time::interval(NOTES_INTERVAL);
    // A late look must not be followed by a hurried one: the lease counts from the start of each.
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // A note that cannot be settled is met by every look, and is logged once.
    let mut logged = 0;
    for look in 0_u64.. {
        interval.tick().await;
        let holds = stores.trust.holds(stores.redis.outages());
        let done = if holds && look % LOOKS_PER_RENEWAL != 0 {
            settle(&stores).await
        } else {
            renew(&stores, holds).await
        };
        match done {
            Ok(PassedOver { rows, last_error }) => {
                if let Some(error) = last_error.filter(|_| rows != logged) {
                    let error = error_chain::format_error_chain(&error);
                    tracing::error!(
                        notes = rows,
                        error,
                        "notes of stale copies cannot be settled"
                    );
                }
                logged = rows;
            }
            Err(error) => tracing::debug!(%error, "cache trust not renewed"),
        }
    }
}

async fn renew(stores: &Stores, holds: bool) -> Result<PassedOver> {
    let trust = &stores.trust;
    let attempt = trust.attempt(stores);
    let mut mark = redis::cmd("SET");
    mark.arg(stores.redis.key("cache-trust"))
        .arg(&trust.0.process)
        .arg("PX")
        .arg(MARK_MS);
    stores.redis.command::<()>("hot.mark", &mark).await?;
    let passed_over = match enter_and_settle(stores).await {
        // Nothing can be revoked without PostgreSQL, and what Redis has is still served.
        Err(Error::Unavailable {
            store: "postgresql",
            ..
        }) if holds => PassedOver::default(),
        done => done?,
    };
    trust.renewed(&attempt);
    Ok(passed_over)
}

/// The entry comes before the look: a change whose note the look does not see finds the entry.
async fn enter_and_settle(stores: &Stores) -> Result<PassedOver> {
    repository::enter(&stores.trust_db, &stores.trust.0.process, LEASE).await?;
    settle(stores).await
}

/// Tells Redis of every note. One that fails keeps no others, and is looked at again by the next look.
///
/// A key that Redis was not told of loses the trust, so that the renewal that looks at it is void. A note that stays in
/// PostgreSQL although Redis was told of its key is in nobody's way.
async fn settle(stores: &Stores) -> Result<PassedOver> {
    let mut passed_over = PassedOver::default();
    // Onward by key: what is settled or noted meanwhile hides no note that was there before.
    let mut after = String::new();
    loop {
        let notes = repository::list(&stores.trust_db, &after, 0).await?;
        let Some(last) = notes.last() else {
            return Ok(passed_over);
        };
        after.clone_from(&last.key);
        for copy in &notes {
            if let Err(error) = settle_one(stores, &stores.trust_db, copy).await {
                passed_over.count(error)?;
            }
        }
        passed_over.check()?;
    }
}

async fn settle_one(stores: &Stores, db: &PgPool, copy: &repository::StaleCopy) -> Result<()> {
    if let Err(error) = lift(
        &stores.redis,
        &unique_name(),
        std::slice::from_ref(&copy.key),
    )
    .await
    {
        stores.trust.lose();
        return Err(error.into());
    }
    Ok(repository::settle(db, copy).await?)
}

/// Waits until no other process believes a copy under these keys, which are noted and committed.
pub(crate) async fn outlast(stores: &Stores, keys: &[String]) {
    let committed = Instant::now();
    let mut longest = None;
    loop {
        let left = match repository::believed_for(&stores.db, &stores.trust.0.process, keys).await {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(%error, "waiting for a whole lease of cache trust");
                Some(LEASE)
            }
        };
        let Some(left) = left else { return };
        // A lease that is renewed after the first look has settled the notes.
        let end = *longest.get_or_insert(committed + left.min(LEASE));
        if Instant::now() >= end {
            return;
        }
        tokio::time::sleep(SETTLED_INTERVAL.min(end - Instant::now())).await;
    }
}

/// Notes that nobody has settled, for the clean-up: where no API runs, nobody else does.
pub(crate) async fn stale_copies(stores: &Stores, pass: Pass) -> Result<Batch> {
    Ok(match pass {
        Pass::Count => Batch::whole(repository::count(&stores.db).await?),
        Pass::Remove(slice) => {
            let copies = repository::list(&stores.db, "", slice.skip()).await?;
            let mut passed_over = PassedOver::default();
            for copy in &copies {
                if let Err(error) = settle_one(stores, &stores.db, copy).await {
                    passed_over.note(&copy.key, error)?;
                }
            }
            Batch::of_items(copies.len(), repository::BATCH, passed_over)
        }
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
