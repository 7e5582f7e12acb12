//! Password hashes: made in one way, verified in every way that an account may have come with.
//!
//! New ones are argon2id (RFC 9106). What was imported from elsewhere verifies as well, and is called
//! outdated, so that a login can replace it.

mod argon2;
mod bcrypt;
mod crypt;
mod fields;
mod firebase;
mod foreign;
mod hasher;
mod pbkdf2;
mod scrypt;
mod stored;

pub use argon2::{MAX_ITERATIONS, MAX_LANES, MAX_MEMORY_KIB};
pub use firebase::FirebaseParameters;
pub use foreign::KeycloakCredential;
pub use hasher::{PasswordHasher, StoredPassword, Verified};
pub use stored::StoredHash;

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashFailure {
    #[error("too many passwords wait to be hashed")]
    Busy,
    #[error("a stored password hash cannot be read")]
    Unreadable,
    #[error("argon2 refuses its parameters: {0}")]
    Parameters(::argon2::Error),
}
