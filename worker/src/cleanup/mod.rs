//! Queue `cleanup`: one file a kind, and the command that does the same once.

pub mod command;
pub mod expired;
