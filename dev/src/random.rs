//! Secrets made on this machine for this checkout.

use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Thirty-two random bytes as the product reads its secret key.
pub(crate) fn base64_key() -> Result<String> {
    Ok(STANDARD.encode(bytes(32)?))
}

/// A secret of `length` random bytes that needs no escaping in a URL. Its first
/// character is a letter, so that no command takes it for an option.
pub(crate) fn token(length: usize) -> Result<String> {
    let text = URL_SAFE_NO_PAD.encode(bytes(length)?);
    Ok(format!("p{text}"))
}

pub(crate) fn bytes(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| anyhow!("the operating system gave no random bytes"))?;
    Ok(bytes)
}
