//! The API over HTTP against real PostgreSQL, Redis and S3: one module a capability.

mod access;
mod accounts;
mod audit;
mod authenticator;
mod bad_input;
mod cookies;
mod files;
mod house;
mod http;
mod notifications;
mod outages;
mod passkeys;
mod raw;
mod sessions;
mod signing_keys;
mod throttling;
