//! Clean-up: removes what is over, kind by kind, in short statements, and reports counts.
//!
//! What of a kind is over is its own capability's to know. Two clean-ups at once share what there is: neither waits
//! for the rows that the other one removes.

mod batch;
mod kind;
mod report;
mod service;

pub(crate) use batch::{BATCH, Batch, Pass};

pub use kind::{Kind, UnknownKind};
pub use report::Report;
pub use service::{Kept, Request, run};
