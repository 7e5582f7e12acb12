//! Short texts that people give and other people read.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::rejection::Rejection;

/// What a person wants to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DisplayName(String);

impl DisplayName {
    pub const MAX_CHARS: usize = 100;

    pub fn parse(text: &str) -> Result<Self, Rejection> {
        Ok(Self(bounded_line("A name", text, Self::MAX_CHARS)?))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why an administrator does something to somebody's account; it stands in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    pub const MAX_CHARS: usize = 500;

    pub fn parse(text: &str) -> Result<Self, Rejection> {
        Ok(Self(bounded_line("A reason", text, Self::MAX_CHARS)?))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A [`single_line`] of one to `max` characters; `what` it is begins the sentence of a refusal.
pub(crate) fn bounded_line(what: &str, text: &str, max: usize) -> Result<String, Rejection> {
    let line = single_line(text)?;
    if line.is_empty() {
        return Err(Rejection::new("too_short", format!("{what} has at least one visible character.")));
    }
    if line.chars().count() > max {
        return Err(Rejection::new("too_long", format!("{what} has at most {max} characters.")));
    }
    Ok(line)
}

/// One trimmed line in NFC, without control characters or the invisible ones that
/// reorder or hide text (Unicode TR 36, section 2.10).
pub(crate) fn single_line(text: &str) -> Result<String, Rejection> {
    let line: String = text.trim().nfc().collect();
    if line.chars().any(|c| c.is_control() || is_deceptive(c)) {
        return Err(Rejection::new(
            "control_character",
            "The text contains a control or invisible character.",
        ));
    }
    Ok(line)
}

fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_lines_without_tricks() {
        assert_eq!(DisplayName::parse("  Ada 👩‍💻 ").expect("ok").as_str(), "Ada 👩‍💻");
        for bad in ["", "   ", "a\0b", "a\nb", "a\u{202E}b", "\u{1b}[31m"] {
            assert!(DisplayName::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_line_has_as_many_characters_as_it_may() {
        assert!(Reason::parse(&"é".repeat(500)).is_ok());
        let refused = Reason::parse(&"é".repeat(501)).expect_err("too long");
        assert_eq!(
            (refused.code, refused.detail.as_str()),
            ("too_long", "A reason has at most 500 characters.")
        );
    }
}
