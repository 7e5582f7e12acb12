//! Whether this process may believe the copies in Redis.
//!
//! A change that could not tell Redis notes its keys in PostgreSQL, in its own transaction. A process that starts, or
//! for which Redis was away, believes no copy until all of these have been told. A process for which Redis was never
//! away hears of them within a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use plinth_platform::crypto::unique_name;
use plinth_platform::redis::Redis;

use super::{lift, repository};
use crate::cleanup::{Batch, Pass, PassedOver};
use crate::{Result, Stores};

/// How often the notes are looked for.
const TICK: Duration = Duration::from_secs(1);

/// The state of the trust.
#[derive(Debug)]
pub struct Trust {
    redis: Redis,
    /// The outages of Redis that have been made up for, and one; 0 for a process that has just started.
    settled: Arc<AtomicU64>,
}

impl Trust {
    /// Begins without trust and earns it. The task behind it ends with it.
    pub fn start(stores: &Stores) -> Self {
        let settled = Arc::new(AtomicU64::new(0));
        tokio::spawn(earn(Arc::downgrade(&settled), stores.clone()));
        Self { redis: stores.redis.clone(), settled }
    }

    /// Whether copies may be believed.
    pub(crate) fn holds(&self) -> bool {
        self.settled.load(Ordering::Acquire) == self.redis.outages() + 1
    }
}

async fn earn(settled: Weak<AtomicU64>, stores: Stores) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let Some(settled) = settled.upgrade() else { return };
        // An outage while the notes are read is not made up for by them.
        let outages = stores.redis.outages();
        let held = settled.load(Ordering::Acquire) == outages + 1;
        match settle(&stores, held).await {
            Ok(()) => settled.store(outages + 1, Ordering::Release),
            Err(error) => tracing::debug!(%error, "copies are not to be believed yet"),
        }
    }
}

/// Tells Redis of every note; without trust it has to answer also when there is none.
async fn settle(stores: &Stores, trusted: bool) -> Result<()> {
    if !trusted {
        stores.redis.ping().await?;
    }
    while settle_some(stores).await? > 0 {}
    Ok(())
}

/// The same for a batch of the notes; how many it had.
async fn settle_some(stores: &Stores) -> Result<u64> {
    let notes = repository::list(&stores.db, 0).await?;
    for copy in &notes {
        settle_one(stores, copy).await?;
    }
    Ok(notes.len() as u64)
}

async fn settle_one(stores: &Stores, copy: &repository::StaleCopy) -> Result<()> {
    lift(&stores.redis, &unique_name(), std::slice::from_ref(&copy.key)).await?;
    Ok(repository::settle(&stores.db, copy).await?)
}

/// Notes that nobody has settled, for the clean-up: where no API runs, nobody else does.
pub(crate) async fn stale_copies(stores: &Stores, pass: Pass) -> Result<Batch> {
    Ok(match pass {
        Pass::Count => Batch::whole(repository::count(&stores.db).await?),
        Pass::Remove(slice) => {
            let copies = repository::list(&stores.db, slice.skip()).await?;
            let mut passed_over = PassedOver::default();
            for copy in &copies {
                if let Err(error) = settle_one(stores, copy).await {
                    passed_over.note(&copy.key, error)?;
                }
            }
            Batch::of_items(copies.len(), repository::BATCH, passed_over)
        }
    })
}
