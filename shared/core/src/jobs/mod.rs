//! Jobs: the ledger in PostgreSQL, which is the source of truth, and the transport in Redis, which
//! wakes the workers.

mod administration;
mod changes;
mod ledger;
mod outages;
mod owner;
mod periodic;
pub(crate) mod repository;
pub(crate) mod retention;
mod sent_mails;
mod transport;

pub(crate) use repository::NewJob;

pub use administration::{
    Cancellation, FailedAttempt, Job, JobAdministration, JobFilter, QueueOverview, Redriven,
};
pub use changes::Changes;
pub use ledger::{
    AttemptEnd, Backlog, Claim, ClaimedJob, Due, EndedAttempt, Ledger, LimitDecision, Others,
    Recorded, Renewed,
};
pub use outages::{OutagePause, OutagePauses};
pub use owner::{OwnJob, OwnJobs};
pub use periodic::{Line, Look, Periodic};
pub use sent_mails::{SendState, SentMails};
pub use transport::{
    DueJobs, JobRef, Popped, QueuePosition, READY_SET_SIZE, ReadySetGap, Transport, parse_message,
};
