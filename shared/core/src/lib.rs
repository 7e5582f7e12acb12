//! The capabilities: one folder each, whose door is its service.
//!
//! A service holds the rules and opens the [`unit::Unit`] that a change is written in; a
//! repository holds the SQL of its capability and no rule. A capability may call another's
//! service, never its repository.

pub mod access;
pub mod access_tokens;
pub mod api_keys;
pub mod audit;
pub mod auth;
mod challenges;
pub mod cleanup;
pub mod error;
pub mod files;
pub mod hot;
pub mod jobs;
pub mod notifications;
pub mod page;
pub mod passkeys;
pub mod readiness;
mod resealed;
pub mod roles;
pub mod second_factors;
pub mod stores;
pub mod unit;
pub mod users;

pub use error::Error;
pub use resealed::Resealed;
pub use stores::Stores;

/// Makes cargo compile the queries anew after a change of the types of columns.
const _: &str = include_str!("../sqlx.toml");

/// What a capability answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;
