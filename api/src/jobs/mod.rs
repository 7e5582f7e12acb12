//! Background jobs and queues over HTTP, for operators: one file per operation.

mod cancel;
mod list;
mod list_queues;
mod pause;
mod read;
mod redrive;
mod resume;
mod retry;
mod view;

use crate::http::operation::operations;

operations! {
    list::ListJobs { jobs },
    read::ReadJob { jobs },
    retry::RetryJob { jobs },
    cancel::CancelJob { jobs },
    redrive::RedriveJobs { jobs },
    list_queues::ListQueues { jobs },
    pause::PauseQueue { jobs },
    resume::ResumeQueue { jobs },
}
