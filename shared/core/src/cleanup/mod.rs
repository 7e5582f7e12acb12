//! Clean-up: removes what is over, kind by kind, in short statements, and reports counts.
//!
//! What of a kind is over is its own capability's to know. Two clean-ups at once share what there is: neither waits
//! for the rows that the other one removes.

mod batch;
mod expired;
mod kind;
mod report;
mod service;

pub use batch::Tally;
pub(crate) use batch::{BATCH, Batch, Pass, PassedOver, Slice, all_or_each};
pub(crate) use expired::{StepTransaction, expired_rows};

pub use kind::Kind;
pub use report::{EndedEarly, Report};
pub use service::{Kept, Request, run};
