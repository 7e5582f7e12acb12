//! The API over HTTP against real PostgreSQL, Redis and S3: one module a capability.

mod access;
mod accounts;
mod administration;
mod api_keys;
mod audit;
mod bad_input;
mod cookies;
mod every_operation;
mod files;
mod house;
mod http;
mod impersonation;
mod notifications;
mod outages;
mod raw;
mod roles;
mod second_factors;
mod sessions;
mod signing_keys;
mod throttling;
