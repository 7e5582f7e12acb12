//! Holds the leases of all that this process has claimed, begun or not: renewed in groups, and given up in time where that fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plinth_core::jobs::{Claim, Ledger};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{Instant, timeout};

/// Why an attempt has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Cancelled,
    /// The lease ends before it could be renewed: somebody else may run the job soon.
    Lost,
}

/// The leases of this process. Clones share them.
#[derive(Clone)]
pub struct Leases(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    length: Duration,
    held: Mutex<HashMap<Claim, Entry>>,
}

struct Entry {
    until: Instant,
    stop: oneshot::Sender<Stop>,
}

/// A lease that is held until this is dropped.
pub struct Lease {
    leases: Leases,
    claim: Claim,
    stopped: oneshot::Receiver<Stop>,
}

impl Lease {
    /// Why the attempt must not begin, if so: it may have waited for a slot for long.
    pub fn is_stopped(&mut self) -> Option<Stop> {
        match self.stopped.try_recv() {
            Ok(stop) => Some(stop),
            // Not told yet, where nobody could look at the clock meanwhile.
            Err(TryRecvError::Empty) if !self.leases.is_ending(self.claim) => None,
            Err(_) => Some(Stop::Lost),
        }
    }

    /// Ends when the attempt has to stop.
    pub async fn stopped(&mut self) -> Stop {
        match (&mut self.stopped).await {
            Ok(stop) => stop,
            // Nobody keeps the leases any more, or the same claim was made known twice, which cannot be.
            Err(_) => Stop::Lost,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.held().remove(&self.claim);
    }
}

impl Leases {
    pub fn new(ledger: Ledger, length: Duration) -> Self {
        Self(Arc::new(Inner {
            ledger,
            length,
            held: Mutex::default(),
        }))
    }

    /// How long a lease is.
    pub fn length(&self) -> Duration {
        self.0.length
    }

    /// Holds what was claimed and ends at `until` unless it is renewed.
    pub fn hold(&self, claim: Claim, until: Instant) -> Lease {
        let (stop, stopped) = oneshot::channel();
        self.held().insert(claim, Entry { until, stop });
        Lease {
            leases: self.clone(),
            claim,
            stopped,
        }
    }

    /// Renews and gives up for as long as it is polled.
    pub async fn keep(self) {
        tokio::join!(self.renew_for_ever(), self.give_up_for_ever());
    }

    async fn renew_for_ever(&self) {
        let length = self.0.length;
        let mut tick = tokio::time::interval(length / 15);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // Those of which a third is over.
            let from = Instant::now() + length * 2 / 3;
            let claims: Vec<Claim> = self
                .held()
                .iter()
                .filter(|(_, entry)| entry.until < from)
                .map(|(claim, _)| *claim)
                .collect();
            for group in claims.chunks(500) {
                self.renew(group).await;
            }
        }
    }

    async fn renew(&self, claims: &[Claim]) {
        let length = self.0.length;
        let asked = Instant::now();
        // Bounded, so that a connection that hangs does not outlast the lease.
        match timeout(length / 3, self.0.ledger.renew(claims, length)).await {
            Ok(Ok(renewed)) => {
                let mut held = self.held();
                for claim in renewed.held {
                    if let Some(entry) = held.get_mut(&claim) {
                        entry.until = asked + length;
                    }
                }
                for claim in renewed.cancel_asked {
                    if let Some(entry) = held.remove(&claim) {
                        let _ = entry.stop.send(Stop::Cancelled);
                    }
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "leases could not be renewed yet"),
            Err(_) => tracing::warn!("the ledger does not answer the renewal of leases"),
        }
    }

    async fn give_up_for_ever(&self) {
        let length = self.0.length;
        let mut tick = tokio::time::interval(length / 30);
        loop {
            tick.tick().await;
            let from = Instant::now() + self.margin();
            for (_, entry) in self.held().extract_if(|_, entry| entry.until <= from) {
                let _ = entry.stop.send(Stop::Lost);
            }
        }
    }

    fn is_ending(&self, claim: Claim) -> bool {
        let from = Instant::now() + self.margin();
        self.held()
            .get(&claim)
            .is_none_or(|entry| entry.until <= from)
    }

    /// A lease is given up so long before it ends, since stopping takes a moment too.
    fn margin(&self) -> Duration {
        self.0.length / 10
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Claim, Entry>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
