//! Accounts: who exists, what each may do, and what each says of itself.

mod repository;
mod service;

pub(crate) use service::{
    Credentials, NewAccount, create, credentials, credentials_of, keep_an_administrator, mark_email_verified,
    owner_of, replace_password_hash,
};
pub use service::{ImportedAccount, ProfileChange, Users, find};
