//! Codes of authenticator apps, as people type or paste them.

use std::fmt;

/// A code of an authenticator app without what apps and people put between its digits. Whether it is right is decided by
/// the app's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct OneTimeCode(String);

impl OneTimeCode {
    /// Removes blanks and dashes: apps show `123 456`, and people copy what they see.
    pub fn normalise(text: &str) -> Self {
        Self(text.chars().filter(|c| !is_separator(*c)).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(…)")
    }
}

/// Whether a character only parts the groups of a code: a blank, a dash, or one that has no width.
pub fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_dashes_are_removed_and_nothing_else() {
        for typed in [
            "123456",
            "123 456",
            " 123-456\n",
            "12 34 56",
            "123\u{a0}456",
            "123\u{202f}456",
            "123\u{2013}456",
            "\u{200e}123456",
        ] {
            assert_eq!(
                OneTimeCode::normalise(typed).as_str(),
                "123456",
                "{typed:?}"
            );
        }
        for (typed, kept) in [
            ("", ""),
            ("12.456", "12.456"),
            ("123_456", "123_456"),
            ("28708a", "28708a"),
        ] {
            assert_eq!(OneTimeCode::normalise(typed).as_str(), kept);
        }
        assert_eq!(
            format!("{:?}", OneTimeCode::normalise("123456")),
            "OneTimeCode(…)"
        );
    }
}
