//! Makes derived images of files that anybody may have made to do harm, and takes the metadata out of them.
//!
//! What reads such a file runs in a child process ([`serve`]) that has given up everything but its memory, its input
//! and its output ([`contain`]); [`protocol`] is what it and the worker say to each other.

mod avif;
mod code_points;
mod colour;
pub mod contain;
mod cut_off;
mod derive;
mod encode;
mod file_reader;
mod gif;
mod inks;
mod input;
mod jpeg;
pub mod metadata;
mod placeholder;
mod png;
pub mod protocol;
mod reason;
mod render;
mod serve;
pub mod sniff;
mod source;
pub mod strip;
mod strips;
mod tiff;

pub use reason::{Feature, Unreadable};
pub use render::{Developed, Rendered, render, weigh};
pub use serve::serve;
pub use strip::Stripped;
