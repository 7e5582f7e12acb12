//! Accounts: who exists, what each may do, and what each says of itself.

mod administration;
mod email_undos;
mod import;
mod repository;
mod service;

pub use administration::Filter;
pub(crate) use administration::require_authority;
pub(crate) use email_undos::expired as expired_email_undos;
pub use import::ImportedAccount;
pub(crate) use repository::never_verified;
pub(crate) use service::{
    Creation, Credentials, NewAccount, address_is_reserved, begin_deletion, begin_recovery, bury,
    cancel_deletion, close_email_undos, count_due_deletions, create, credentials, credentials_in,
    credentials_of, due_deletions, email_undo_open_since, find_locked, has_changed_since,
    has_second_factor, hold, hold_by_email, hold_unchanged, hold_unverified, is_imported,
    keep_an_administrator, lock, mark_email_verified, open_email_undo, owner_of,
    password_changed_at, password_hash_unlike, prolong_email_undo, recovery_from,
    refuse_email_undo, refused_hashes, replace_password_hash, set_email, set_password, take_over,
    waive_email_undos, with_permission,
};
pub use service::{ProfileChange, Users, find};
