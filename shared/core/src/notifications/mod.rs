//! The inbox of each user.

mod repository;
mod service;

pub use service::Inbox;
