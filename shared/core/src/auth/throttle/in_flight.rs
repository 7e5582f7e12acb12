//! Attempts that were taken and have no verdict yet: others wait for it, so that it is given in any case.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::Throttle;
use super::counters::{Attempt, Counter};

/// The place of an attempt for as long as it has no verdict.
#[derive(Default)]
pub(super) struct Place(Mutex<Option<InFlight>>);

impl Place {
    pub(super) fn set(&self, in_flight: InFlight) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(in_flight);
    }

    /// The verdict is about to be given.
    pub(super) fn decide(&self) {
        if let Some(mut in_flight) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            in_flight.counters.clear();
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// An attempt that was taken. Dropped without a verdict, because the request ended or an error came first, it has failed.
pub(super) struct InFlight {
    throttle: Throttle,
    counters: Vec<Counter>,
}

impl InFlight {
    pub(super) fn new(throttle: &Throttle, attempt: &Attempt) -> Self {
        Self {
            throttle: throttle.clone(),
            counters: attempt.counters.clone(),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.counters.is_empty() {
            return;
        }
        let (throttle, counters) = (self.throttle.clone(), std::mem::take(&mut self.counters));
        // Without a runtime the process is about to end, and the attempt is given up by time.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { throttle.fail(&counters, None).await });
        }
    }
}
