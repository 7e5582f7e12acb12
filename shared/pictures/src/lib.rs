//! Makes derived images of files that anybody may have made to do harm.
//!
//! What reads such a file runs in a child process ([`serve`]) that has given up everything but its memory, its input
//! and its output ([`contain`]); [`protocol`] is what it and the worker say to each other.

mod colour;
pub mod contain;
mod derive;
mod encode;
pub mod protocol;
mod reason;
mod render;
mod serve;
mod sniff;
mod source;

pub use reason::Unreadable;
pub use render::{Rendered, render, weigh};
pub use serve::serve;
