//! Renders derived images of untrusted image files, and removes metadata from them.
//!
//! Such a file is read only in a child process ([`serve`]) that has given up everything except
//! memory, its input and its output ([`contain`]). [`protocol`] defines the messages between it and
//! the worker.

mod avif;
mod cicp;
mod cmyk;
mod colour;
pub mod contain;
mod derive;
mod encode;
mod file_reader;
mod gif;
mod input;
mod jpeg;
pub mod metadata;
mod missing_rows;
mod placeholder;
mod png;
pub mod protocol;
mod render;
mod serve;
pub mod sniff;
mod source;
pub mod strip;
mod strips;
mod tiff;
mod unreadable;

pub use render::{RenderedImage, RenderedPicture, render, required_memory};
pub use serve::serve;
pub use strip::Stripped;
pub use unreadable::{Feature, Unreadable};
