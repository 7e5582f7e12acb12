//! Background jobs and queues over HTTP, for operators: one file an operation.

mod cancel;
mod list;
mod list_queues;
mod pause;
mod read;
mod redrive;
mod resume;
mod retry;
mod view;

use plinth_core::jobs::JobAdministration;

pub(crate) type Operations = (
    list::ListJobs,
    read::ReadJob,
    retry::RetryJob,
    cancel::CancelJob,
    redrive::RedriveJobs,
    list_queues::ListQueues,
    pause::PauseQueue,
    resume::ResumeQueue,
);

pub(crate) fn operations(jobs: &JobAdministration) -> Operations {
    (
        list::ListJobs { jobs: jobs.clone() },
        read::ReadJob { jobs: jobs.clone() },
        retry::RetryJob { jobs: jobs.clone() },
        cancel::CancelJob { jobs: jobs.clone() },
        redrive::RedriveJobs { jobs: jobs.clone() },
        list_queues::ListQueues { jobs: jobs.clone() },
        pause::PauseQueue { jobs: jobs.clone() },
        resume::ResumeQueue { jobs: jobs.clone() },
    )
}
