//! Types and rules of Plinth, without input or output.
//!
//! Whatever has a rule has a type here, and a value of that type has passed it.
//! Nothing in this crate knows SQL, HTTP or Redis. The features `sqlx` and `openapi` let the types
//! stand in columns, and in the API document.

pub mod api_key;
pub mod audit;
pub mod authentication;
pub mod backoff;
pub mod client;
pub mod closed_set;
#[cfg(feature = "sqlx")]
mod column;
pub mod cron;
pub mod direct_upload;
pub mod email;
pub mod error_code;
pub mod file;
pub mod gcra;
pub mod id;
pub mod job;
pub mod job_state;
pub mod media_type;
pub mod notice;
pub mod notification;
pub mod one_time_code;
#[cfg(feature = "openapi")]
mod openapi;
pub mod password;
pub mod periodic;
pub mod permission;
pub mod picture;
pub mod preset;
pub mod purpose;
pub mod rejection;
pub mod role;
pub mod share_link;
pub mod text;
pub mod user;
