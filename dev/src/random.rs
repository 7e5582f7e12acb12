//! Random secrets for this checkout.

use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Returns 32 random bytes in the form of `PLINTH_SECRET_KEY`.
pub(crate) fn base64_key() -> Result<String> {
    Ok(STANDARD.encode(bytes(32)?))
}

/// Returns a secret of `length` random bytes that needs no escaping in a URL. It begins with a
/// letter, so that no command reads it as an option.
pub(crate) fn token(length: usize) -> Result<String> {
    Ok(format!("p{}", URL_SAFE_NO_PAD.encode(bytes(length)?)))
}

/// Returns random bytes of the operating system.
pub fn bytes(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow!("no random bytes are available"))?;
    Ok(bytes)
}
