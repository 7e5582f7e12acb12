//! The start of processes: errors are reported at once and clearly, and running processes report
//! their state.

mod metrics;
mod migrate;
mod operators;
mod probes;
mod queues;
mod refusals;
