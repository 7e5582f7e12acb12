//! HTTP itself: reading requests, rendering errors, and the layers around the routes.

pub mod body;
pub mod browser;
pub mod conditions;
pub(crate) mod content_host;
pub mod digest;
pub mod document;
#[cfg(test)]
mod error_code_tests;
pub(crate) mod error_page;
pub mod failure;
pub mod headers_only;
pub mod host;
pub mod json;
pub mod limits;
pub mod method_override;
pub mod middleware;
mod min_rate;
pub mod multipart;
pub(crate) mod operation;
pub mod origin;
pub mod permissions;
pub mod principal;
pub mod problem;
pub mod range;
pub(crate) mod route_table;
pub mod schema;
pub(crate) mod secret;
mod single_fields;
pub mod tus;
mod unique_names;
pub mod upload_body;
pub(crate) mod utc_time;
