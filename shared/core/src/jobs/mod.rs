//! Jobs: the ledger in PostgreSQL, which is the truth, and the transport in Redis, which is the doorbell.

mod administration;
mod ledger;
mod periodic;
pub(crate) mod repository;
pub(crate) mod retention;
mod sent_mails;
mod transport;

pub(crate) use repository::NewJob;

pub use administration::{Cancellation, FailedAttempt, Job, JobAdministration, JobFilter, QueueOverview};
pub use ledger::{
    Backlog, Claim, ClaimedJob, Due, Ended, Hold, HowItEnded, Ledger, Others, Recorded, Renewed,
};
pub use periodic::{Line, Look, Periodic};
pub use sent_mails::{SentMails, Standing};
pub use transport::{Note, Popped, Transport, WINDOW, read_note};
