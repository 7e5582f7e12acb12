//! The start: what is wrong is said at once and clearly, and what runs tells how it is.

mod metrics;
mod migrate;
mod operators;
mod probes;
mod queues;
mod refusals;
