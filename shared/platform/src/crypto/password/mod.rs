//! Password hashes: created by one scheme, verified by all supported ones.
//!
//! New hashes are argon2id (RFC 9106). Imported hashes verify as well and are reported as outdated,
//! so that a login can replace them.

mod argon2;
mod bcrypt;
mod crypt;
mod fields;
mod firebase;
mod hasher;
mod import;
mod pbkdf2;
mod scrypt;
mod stored;

pub use argon2::{MAX_ITERATIONS, MAX_LANES, MAX_MEMORY_KIB};
pub use firebase::FirebaseParameters;
pub use hasher::{PasswordHasher, StoredPassword, Verified};
pub use import::KeycloakCredential;
pub use stored::StoredHash;

/// The reason why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashFailure {
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    #[error("a stored password hash cannot be read")]
    Unreadable,
    #[error("invalid argon2 parameters: {0}")]
    Parameters(::argon2::Error),
}
