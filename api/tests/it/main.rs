//! The API over HTTP against real PostgreSQL, Redis and S3: one module a capability.

mod access;
mod accounts;
mod audit;
mod bad_input;
mod cookies;
mod deletion;
mod email_change;
mod enumeration;
mod files;
mod house;
mod http;
mod mailed;
mod notifications;
mod outages;
mod password_change;
mod password_reset;
mod passwords;
mod raw;
mod sessions;
mod signing_keys;
mod throttling;
