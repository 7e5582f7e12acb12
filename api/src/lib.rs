//! The API server: parses requests into domain types, asks the services, and answers.
//!
//! One folder a capability, one file an operation; what is HTTP's own is in [`http`].

mod administration;
mod api_keys;
pub mod app;
mod audit;
mod auth;
pub mod commands;
mod direct_uploads;
mod files;
pub mod http;
mod jobs;
mod notifications;
mod own_jobs;
mod passkeys;
mod roles;
mod second_factors;
mod services;
mod sessions;
mod uploads;
mod users;
