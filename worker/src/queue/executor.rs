//! The service that apalis calls: it starts a job as soon as a permit is free.
//!
//! A job runs in its own task, so that the end of apalis's worker does not cancel it.

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

use super::backend::LeasedJob;
use super::claim_limiter::ClaimLimiter;
use crate::runner::Runner;

/// The right to run one job of a queue. Dropping it frees it for the next job.
pub struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
    limiter: Arc<ClaimLimiter>,
}

impl Permit {
    /// Frees the permit and records how long the job ran, whether it succeeded or not.
    pub fn release(self, duration: Duration) {
        self.limiter.record_duration(duration);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.count_ended();
    }
}

/// The service that starts the jobs of a queue.
pub(super) struct Executor {
    permits: PollSemaphore,
    next_permit: Option<OwnedSemaphorePermit>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    limiter: Arc<ClaimLimiter>,
    runner: Arc<Runner>,
}

impl Executor {
    /// After `stop` jobs start without a permit: the runner hands them back.
    pub(super) fn new(
        concurrency: usize,
        limiter: Arc<ClaimLimiter>,
        runner: Arc<Runner>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            permits: PollSemaphore::new(Arc::new(Semaphore::new(concurrency))),
            next_permit: None,
            stopping: Box::pin(stop.cancelled_owned()),
            limiter,
            runner,
        }
    }
}

impl Service<Task<LeasedJob>> for Executor {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.next_permit.is_none() && self.stopping.as_mut().poll(cx).is_pending() {
            let permit =
                when_ready!(self.permits.poll_acquire(cx)).expect("the semaphore is never closed");
            self.next_permit = Some(permit);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<LeasedJob>) -> Self::Future {
        self.limiter.count_started();
        let permit = Permit {
            _permit: self.next_permit.take(),
            limiter: self.limiter.clone(),
        };
        self.runner.start(task.args, permit);
        ready(Ok(()))
    }
}
