//! The leases of all jobs that this process has claimed, whether they have started or not. They are
//! renewed in groups. If that fails, their attempts are stopped before the leases expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plinth_core::jobs::{Claim, Ledger};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{Instant, timeout};

/// The largest number of leases that one statement renews.
const RENEWAL_BATCH_SIZE: usize = 500;

/// Why an attempt has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The owner or an operator cancelled the job.
    Cancelled,
    /// The lease could not be renewed. Another worker may run the job soon.
    LeaseLost,
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
    expires_at: Instant,
    stop: oneshot::Sender<StopReason>,
}

/// A lease of a job. It is renewed until this is dropped.
pub struct Lease {
    leases: Leases,
    claim: Claim,
    stopped: oneshot::Receiver<StopReason>,
}

impl Lease {
    /// Returns why the attempt must not start, if so. The job may have waited for a permit for a
    /// long time.
    pub fn stop_reason(&mut self) -> Option<StopReason> {
        match self.stopped.try_recv() {
            Ok(reason) => Some(reason),
            // The task that stops attempts may be late, for example after the process was frozen.
            Err(TryRecvError::Empty) if !self.leases.is_expiring(self.claim) => None,
            Err(_) => Some(StopReason::LeaseLost),
        }
    }

    /// Waits until the attempt has to stop.
    pub async fn wait_for_stop(&mut self) -> StopReason {
        match (&mut self.stopped).await {
            Ok(reason) => reason,
            // The leases are no longer maintained.
            Err(_) => StopReason::LeaseLost,
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

    /// Returns the length of a lease.
    pub fn length(&self) -> Duration {
        self.0.length
    }

    /// Adds the lease of a claim, which expires at `expires_at` unless it is renewed.
    pub fn add(&self, claim: Claim, expires_at: Instant) -> Lease {
        let (stop, stopped) = oneshot::channel();
        self.held().insert(claim, Entry { expires_at, stop });
        Lease {
            leases: self.clone(),
            claim,
            stopped,
        }
    }

    /// Renews leases, and stops attempts whose lease cannot be renewed. Never returns.
    pub async fn maintain(self) {
        tokio::join!(self.renew_forever(), self.stop_expiring_forever());
    }

    async fn renew_forever(&self) {
        let length = self.0.length;
        let mut tick = tokio::time::interval(length / 15);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // Leases of which a third has passed.
            let renew_before = Instant::now() + length * 2 / 3;
            let claims: Vec<Claim> = self
                .held()
                .iter()
                .filter(|(_, entry)| entry.expires_at < renew_before)
                .map(|(claim, _)| *claim)
                .collect();
            for group in claims.chunks(RENEWAL_BATCH_SIZE) {
                self.renew(group).await;
            }
        }
    }

    async fn renew(&self, claims: &[Claim]) {
        let length = self.0.length;
        let requested_at = Instant::now();
        // The timeout lets another renewal follow before the leases expire if a connection hangs.
        match timeout(length / 3, self.0.ledger.renew(claims, length)).await {
            Ok(Ok(renewed)) => {
                let mut held = self.held();
                for claim in renewed.held {
                    if let Some(entry) = held.get_mut(&claim) {
                        entry.expires_at = requested_at + length;
                    }
                }
                for claim in renewed.cancel_asked {
                    if let Some(entry) = held.remove(&claim) {
                        let _ = entry.stop.send(StopReason::Cancelled);
                    }
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "lease renewal failed, retrying"),
            Err(_) => tracing::warn!("lease renewal timed out, retrying"),
        }
    }

    async fn stop_expiring_forever(&self) {
        let length = self.0.length;
        let mut tick = tokio::time::interval(length / 30);
        loop {
            tick.tick().await;
            let stop_before = Instant::now() + self.stop_margin();
            for (_, entry) in self
                .held()
                .extract_if(|_, entry| entry.expires_at <= stop_before)
            {
                let _ = entry.stop.send(StopReason::LeaseLost);
            }
        }
    }

    fn is_expiring(&self, claim: Claim) -> bool {
        let stop_before = Instant::now() + self.stop_margin();
        self.held()
            .get(&claim)
            .is_none_or(|entry| entry.expires_at <= stop_before)
    }

    /// Returns how long before the end of its lease an attempt is stopped, because stopping takes
    /// time too.
    fn stop_margin(&self) -> Duration {
        self.0.length / 10
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Claim, Entry>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
