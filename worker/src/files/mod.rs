//! Queue `files`: one file a kind, and the making of pictures.

mod bounded;
pub mod purge;
pub mod render;
pub mod thumbnails;

pub use bounded::Darkroom;
pub use thumbnails::Thumbnails;
