//! The inbox of each user.

mod repository;
mod retention;
mod service;

pub(crate) use retention::{read, unread};
pub use service::Inbox;
pub(crate) use service::remove_all_of;
