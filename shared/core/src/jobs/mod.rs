//! Jobs: the ledger in PostgreSQL, which is the truth, and the transport in Redis, which is the doorbell.

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
    Backlog, Claim, ClaimedJob, Due, Ended, Hold, HowItEnded, Ledger, Others, Recorded, Renewed,
};
pub use outages::{OutagePause, OutagePauses};
pub use owner::{OwnJob, OwnJobs};
pub use periodic::{Line, Look, Periodic};
pub use sent_mails::{SentMails, Standing};
pub use transport::{Found, Gap, Note, Place, Popped, Transport, WINDOW, read_note};
