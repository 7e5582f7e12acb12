//! The start: what is wrong is said at once and clearly, and what runs tells how it is.

mod metrics;
mod operators;
mod queues;
mod refusals;
