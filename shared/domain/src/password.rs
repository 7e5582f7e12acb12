//! Passwords as people type them: length counted in characters after NFKC, nothing else asked.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::rejection::Rejection;

/// A new password in its normalised form (NIST SP 800-63B-4, section 3.1.1.2).
///
/// Has no `Debug` that shows it.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    pub const MIN_CHARS: usize = 8;
    pub const MAX_CHARS: usize = 128;

    /// Parses a password that somebody chooses.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let normalised = Self::normalise(text);
        match normalised.0.chars().count() {
            n if n < Self::MIN_CHARS => Err(Rejection::new(
                "too_short",
                format!("A password has at least {} characters.", Self::MIN_CHARS),
            )),
            n if n > Self::MAX_CHARS => Err(Rejection::new(
                "too_long",
                format!("A password has at most {} characters.", Self::MAX_CHARS),
            )),
            _ => Ok(normalised),
        }
    }

    /// The normalised form of a password that somebody presents; any length, since it is only compared.
    pub fn normalise(text: &str) -> Self {
        Self(text.nfkc().collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are the same text; both are known to whoever asks, so that the time it takes tells nothing.
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_after_normalisation() {
        assert!(Password::parse("1234567").is_err());
        assert!(Password::parse("12345678").is_ok());
        assert!(Password::parse(&"ü".repeat(128)).is_ok());
        assert!(Password::parse(&"ü".repeat(129)).is_err());
        assert_eq!(Password::parse("u\u{308}berlang").expect("ok").as_bytes(), "überlang".as_bytes());
    }
}
