//! Passwords as people type them: length counted in characters after NFKC, nothing else asked.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::rejection::Rejection;

/// A new password in its normalised form (NIST SP 800-63B-4, section 3.1.1.2).
///
/// Has no `Debug` that shows it.
#[derive(Clone)]
pub struct Password {
    normal: String,
    /// As typed, if that is not the normal form: other systems hashed it so.
    typed: Option<String>,
}

impl Password {
    pub const MIN_CHARS: usize = 8;
    pub const MAX_CHARS: usize = 128;

    /// Parses a password that somebody chooses.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let normalised = Self::normalise(text);
        match normalised.normal.chars().count() {
            n if n < Self::MIN_CHARS => Err(Rejection::new(
                "too_short",
                format!("A password has at least {} characters.", Self::MIN_CHARS),
            )),
            n if n > Self::MAX_CHARS => Err(Rejection::new(
                "too_long",
                format!("A password has at most {} characters.", Self::MAX_CHARS),
            )),
            // One that is chosen is hashed in its normal form, and in no other.
            _ => Ok(Self {
                typed: None,
                ..normalised
            }),
        }
    }

    /// The normalised form of a password that somebody presents; any length, since it is only compared.
    pub fn normalise(text: &str) -> Self {
        let normal: String = text.nfkc().collect();
        let typed = (normal != text).then(|| text.to_owned());
        Self { normal, typed }
    }

    /// The forms in which another system may have hashed the password: as typed, in NFKC, in NFC. Each once.
    pub fn forms(&self) -> Vec<String> {
        let Some(typed) = &self.typed else {
            return vec![self.normal.clone()];
        };
        let mut forms = vec![typed.clone(), self.normal.clone()];
        let composed: String = typed.nfc().collect();
        if !forms.contains(&composed) {
            forms.push(composed);
        }
        forms
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.normal
    }

    /// Whether both have the same normal form; the caller knows both, so that the time it takes tells nothing.
    pub fn is(&self, other: &Self) -> bool {
        self.normal == other.normal
    }

    /// The normal form.
    pub fn as_bytes(&self) -> &[u8] {
        self.normal.as_bytes()
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
        assert_eq!(
            Password::parse("u\u{308}berlang").expect("ok").as_bytes(),
            "überlang".as_bytes()
        );
    }

    #[test]
    fn a_presented_password_has_the_forms_that_others_hash() {
        let forms = |text: &str| Password::normalise(text).forms();
        assert_eq!(forms("plain"), ["plain"]);
        assert_eq!(forms("Passwort²"), ["Passwort²", "Passwort2"]);
        assert_eq!(forms("u\u{308}ber"), ["u\u{308}ber", "über"]);
        assert_eq!(forms("u\u{308}ber²"), ["u\u{308}ber²", "über2", "über²"]);
        assert_eq!(
            Password::parse("Passwort²").expect("ok").forms(),
            ["Passwort2"]
        );
    }
}
