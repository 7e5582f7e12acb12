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
        let name = single_line(text)?;
        if name.is_empty() {
            return Err(Rejection::new("too_short", "A name has at least one visible character."));
        }
        if name.chars().count() > Self::MAX_CHARS {
            return Err(Rejection::new(
                "too_long",
                format!("A name has at most {} characters.", Self::MAX_CHARS),
            ));
        }
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
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
}
