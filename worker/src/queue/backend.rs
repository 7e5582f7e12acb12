//! Claimed jobs as a backend of apalis: its traits over a channel.
//!
//! docs/explanation/jobs.md explains why the backend of apalis-redis is not used.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::task_id::RandomId;
use apalis_core::worker::context::WorkerContext;
use plinth_core::jobs::ClaimedJob;
use plinth_domain::job::Priority;
use tokio::sync::mpsc::UnboundedReceiver;
use tower_layer::Identity;

use crate::leases::Lease;

/// A claimed job and its lease.
pub struct LeasedJob {
    pub job: ClaimedJob,
    pub lease: Lease,
}

/// The backend of apalis's worker: claimed jobs, high priorities first. It never fails, and ends
/// with the channel.
pub(super) struct ClaimedJobs {
    receiver: UnboundedReceiver<LeasedJob>,
    /// Jobs that have not started, by priority.
    waiting: [VecDeque<LeasedJob>; Priority::ALL.len()],
}

impl ClaimedJobs {
    pub(super) fn new(receiver: UnboundedReceiver<LeasedJob>) -> Self {
        Self {
            receiver,
            waiting: Default::default(),
        }
    }

    /// Takes all jobs from the channel. Returns whether the channel is still open.
    fn drain_channel(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.receiver.poll_recv(cx) {
                Poll::Ready(Some(leased)) => {
                    let lowest = self.waiting.len() - 1;
                    let rank = usize::try_from(leased.job.rank).unwrap_or(0).min(lowest);
                    self.waiting[rank].push_back(leased);
                }
                Poll::Ready(None) => return false,
                Poll::Pending => return true,
            }
        }
    }
}

impl Backend for ClaimedJobs {
    type Task = Task<LeasedJob>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<LeasedJob>, Infallible>>> {
        let is_open = self.drain_channel(cx);
        if let Some(leased) = self.waiting.iter_mut().find_map(VecDeque::pop_front) {
            return Poll::Ready(Some(Ok(Task::new(leased))));
        }
        if is_open {
            return Poll::Pending;
        }
        // The end of the backend is not enough: apalis waits until its worker is stopped.
        let _ = worker.stop();
        Poll::Ready(None)
    }

    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for ClaimedJobs {
    type Args = LeasedJob;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
