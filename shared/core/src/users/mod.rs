//! Accounts: who exists, what each may do, and what each says of itself.

mod repository;
mod service;

pub(crate) use service::{
    Credentials, NewAccount, bury, create, credentials, credentials_of, hold, hold_by_email,
    keep_an_administrator, mark_email_verified, owner_of, replace_password_hash, set_email, set_password,
};
pub use service::{ImportedAccount, ProfileChange, Users, find};
