//! Claimed jobs as apalis takes them: its traits over a channel.
//!
//! apalis-redis's own backend is not used; docs/explanation/jobs.md says why.

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

/// A job that this process holds.
pub struct Held {
    pub job: ClaimedJob,
    pub lease: Lease,
}

/// The source of apalis's worker: what was claimed, high priorities first. It never fails and ends with the channel.
pub(super) struct Claimed {
    jobs: UnboundedReceiver<Held>,
    /// Those that came and are not begun, by priority.
    waiting: [VecDeque<Held>; Priority::ALL.len()],
}

impl Claimed {
    pub(super) fn new(jobs: UnboundedReceiver<Held>) -> Self {
        Self {
            jobs,
            waiting: Default::default(),
        }
    }

    /// Takes what has come; whether more may come.
    fn collect(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.jobs.poll_recv(cx) {
                Poll::Ready(Some(held)) => {
                    let lowest = self.waiting.len() - 1;
                    let place = usize::try_from(held.job.rank).unwrap_or(0).min(lowest);
                    self.waiting[place].push_back(held);
                }
                Poll::Ready(None) => return false,
                Poll::Pending => return true,
            }
        }
    }
}

impl Backend for Claimed {
    type Task = Task<Held>;
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
    ) -> Poll<Option<Result<Task<Held>, Infallible>>> {
        let goes_on = self.collect(cx);
        if let Some(held) = self.waiting.iter_mut().find_map(VecDeque::pop_front) {
            return Poll::Ready(Some(Ok(Task::new(held))));
        }
        if goes_on {
            return Poll::Pending;
        }
        // An end is not enough: apalis goes on waiting until it is told to stop.
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

impl BackendConfig for Claimed {
    type Args = Held;
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
