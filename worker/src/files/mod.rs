//! Queue `files`: one file a kind, the making of pictures, and the command that has them made anew.

pub mod command;
mod darkroom;
pub mod purge;
pub mod regeneration;
pub mod scan;
pub mod scan_command;
mod studio;
pub mod thumbnails;
pub mod variants;
pub mod verification;

pub use darkroom::{Breakdown, Darkroom};
pub use studio::Studio;
