//! Child processes: how they start, how they end, and how none is left behind if this process is
//! killed.
//!
//! The kernel signals each child if this process dies. The ledger lists the children, so that the
//! next start ends those that are still running.

pub(crate) mod account;
pub(crate) mod command;
pub(crate) mod ledger;
mod program;

pub(crate) use account::Account;
pub(crate) use ledger::Ledger;
pub(crate) use program::without_settings;
pub use program::{Program, Supervised};
