//! Accounts: who exists, what each may do, and what each says of itself.

mod administration;
mod repository;
mod service;

pub use administration::Filter;
pub(crate) use administration::require_authority;
pub(crate) use service::{
    Credentials, NewAccount, create, credentials, credentials_of, hold, keep_an_administrator, lock,
    mark_email_verified, owner_of, replace_password_hash,
};
pub use service::{ImportedAccount, ProfileChange, Users, find};
