//! Claimed jobs as apalis takes them: its traits over a channel.
//!
//! apalis-redis's own backend is not used; docs/jobs.md says why.

use std::convert::Infallible;
use std::task::{Context, Poll};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::task_id::RandomId;
use apalis_core::worker::context::WorkerContext;
use plinth_core::jobs::ClaimedJob;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tower_layer::Identity;

/// A job that this process holds.
#[derive(Debug)]
pub struct Held {
    pub job: ClaimedJob,
    /// When the lease ends at the earliest.
    pub until: Instant,
}

/// The source of apalis's worker. It never fails and ends with the channel.
pub(super) struct Claimed(UnboundedReceiver<Held>);

impl Claimed {
    pub(super) fn new(jobs: UnboundedReceiver<Held>) -> Self {
        Self(jobs)
    }
}

impl Backend for Claimed {
    type Task = Task<Held>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<Held>, Infallible>>> {
        self.0.poll_recv(cx).map(|held| {
            if held.is_none() {
                // An end is not enough: apalis goes on waiting until it is told to stop.
                let _ = worker.stop();
            }
            held.map(|held| Ok(Task::new(held)))
        })
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
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
