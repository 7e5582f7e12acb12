//! The inbox of each user.

mod repository;
mod service;

pub use service::Inbox;
pub(crate) use service::remove_all_of;
