//! The service that apalis calls: it starts a job as soon as a slot is free.
//!
//! A job runs in a task of its own, so that nothing that happens to apalis's worker reaches it.

use std::convert::Infallible;
use std::future::{Future as _, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as when_ready};
use std::time::Duration;

use apalis_core::task::Task;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, PollSemaphore, WaitForCancellationFutureOwned};
use tower_service::Service;

use super::backend::Held;
use super::pace::Pace;
use crate::runner::Runner;

/// The right to run one job of a queue, given back when it is dropped.
pub struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
    pace: Arc<Pace>,
}

impl Slot {
    /// The job has ended, for good or ill, after so long.
    pub fn ended_after(self, took: Duration) {
        self.pace.took(took);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pace.ended();
    }
}

/// The slots of a queue.
pub(super) struct Desk {
    slots: PollSemaphore,
    free: Option<OwnedSemaphorePermit>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    pace: Arc<Pace>,
    runner: Arc<Runner>,
}

impl Desk {
    /// From `stop` on no slot is needed: the runner hands back whatever it is given.
    pub(super) fn new(
        concurrency: usize,
        pace: Arc<Pace>,
        runner: Arc<Runner>,
        stop: CancellationToken,
    ) -> Self {
        let slots = PollSemaphore::new(Arc::new(Semaphore::new(concurrency)));
        Self {
            slots,
            free: None,
            stopping: Box::pin(stop.cancelled_owned()),
            pace,
            runner,
        }
    }
}

impl Service<Task<Held>> for Desk {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.free.is_none() && self.stopping.as_mut().poll(cx).is_pending() {
            let permit =
                when_ready!(self.slots.poll_acquire(cx)).expect("the semaphore is never closed");
            self.free = Some(permit);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Held>) -> Self::Future {
        self.pace.began();
        let slot = Slot {
            _permit: self.free.take(),
            pace: self.pace.clone(),
        };
        self.runner.start(task.args, slot);
        ready(Ok(()))
    }
}
