//! The jobs that the caller asked for, over HTTP: one file an operation.

mod events;
mod list;
mod read;
mod view;

use plinth_core::jobs::OwnJobs;
use tokio_util::sync::CancellationToken;

pub(crate) type Operations = (list::ListOwnJobs, read::ReadOwnJob, events::WatchOwnJob);

/// From `draining` on nothing is watched any more.
pub(crate) fn operations(jobs: &OwnJobs, draining: &CancellationToken) -> Operations {
    (
        list::ListOwnJobs { jobs: jobs.clone() },
        read::ReadOwnJob { jobs: jobs.clone() },
        events::WatchOwnJob {
            jobs: jobs.clone(),
            draining: draining.clone(),
        },
    )
}
