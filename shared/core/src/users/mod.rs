//! Accounts: who exists, what each may do, and what each says of itself.

mod administration;
mod import;
mod repository;
mod service;

pub use administration::Filter;
pub(crate) use administration::require_authority;
pub use import::ImportedAccount;
pub(crate) use service::{
    Credentials, NewAccount, bury, count_never_verified, create, credentials, credentials_of, find_locked,
    has_changed_since, hold, hold_by_email, hold_unchanged, hold_unverified, keep_an_administrator, lock,
    mark_email_verified, owner_of, password_hash_unlike, remove_never_verified, replace_password_hash,
    set_email, set_password, take_over, with_permission,
};
pub use service::{ProfileChange, Users, find};
