//! The API server: parses requests into domain types, calls the services, and renders responses.
//!
//! One folder per capability, one file per operation. [`http`] has what all operations share.

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
