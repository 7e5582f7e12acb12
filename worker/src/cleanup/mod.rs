//! Queue `cleanup`: one file a kind, and the clock that asks for the periodic one.

pub mod expired;
pub mod schedule;
