//! Supervised processes: how they start, how they end, and how nothing is left
//! behind when the supervisor itself is killed.

pub(crate) mod account;
pub(crate) mod foreground;
pub(crate) mod ledger;
pub(crate) mod orphans;
pub(crate) mod shim;
mod supervised;

pub(crate) use account::Account;
pub(crate) use ledger::Ledger;
pub(crate) use supervised::{Program, Supervised};
