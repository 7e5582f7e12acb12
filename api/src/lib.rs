//! The API server: parses requests into domain types, asks the services, and answers.
//!
//! One folder a capability, one file an operation; what is HTTP's own is in [`http`].

pub mod app;
mod audit;
mod auth;
pub mod commands;
mod files;
pub mod http;
mod notifications;
mod passkeys;
mod sessions;
mod users;
