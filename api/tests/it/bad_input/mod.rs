//! Bad input, one row per case. Each gets a clear problem, nothing is stored, and the process
//! survives.

mod assignment;
mod bodies;
mod forms;
mod tokens;
mod wire;
