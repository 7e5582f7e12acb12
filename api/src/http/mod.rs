//! What is HTTP's own: reading requests, answering refusals, and what every request passes.

pub mod bare;
pub mod body;
pub mod browser;
pub mod conditions;
pub mod digest;
pub mod document;
mod error_code;
pub mod failure;
pub mod host;
pub mod json;
pub mod limits;
pub mod method_override;
pub mod middleware;
pub mod multipart;
pub mod octets;
pub mod origin;
mod pace;
mod parameters;
pub mod permissions;
pub mod principal;
pub mod problem;
pub mod range;
pub mod shape;
mod single_fields;
pub mod tus;
mod unique_names;
pub(crate) mod utc_time;
