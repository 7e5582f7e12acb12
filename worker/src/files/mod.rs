//! Queue `files`: one file a kind.

mod bounded;
pub mod render;

pub use bounded::Darkroom;
