//! The jobs that the caller requested, over HTTP: one file per operation.

mod events;
mod list;
mod read;
mod view;

use crate::http::operation::operations;

operations! {
    list::ListOwnJobs { jobs: own_jobs },
    read::ReadOwnJob { jobs: own_jobs },
    events::WatchOwnJob { jobs: own_jobs, draining },
}
