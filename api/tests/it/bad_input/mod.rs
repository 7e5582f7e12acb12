//! Bad input, one row a case; later capabilities add rows. Each gets a clear problem, nothing is stored, and the
//! process goes on.

mod assignment;
mod bodies;
mod forms;
mod tokens;
mod wire;
