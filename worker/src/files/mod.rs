//! Queue `files`: one file a kind, the making of pictures, and the commands about them.

pub mod command;
mod darkroom;
pub mod finish;
pub mod purge;
pub mod regeneration;
pub mod scan;
pub mod scan_command;
mod share;
pub mod strip_command;
pub mod stripping;
mod studio;
pub mod thumbnails;
pub mod variants;
pub mod verification;

pub use darkroom::{Breakdown, Crash, Darkroom};
pub use share::OwnerShare;
pub use studio::Studio;
