//! Formats an error with its chain of causes in one line.

use std::error::Error;

/// Formats the error and its causes, separated by colons. A cause that the text already contains is
/// left out, because many errors repeat their cause. PostgreSQL can store the text.
pub fn format_error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    replace_nul(&text)
}

/// Replaces U+0000 in text from another program, because PostgreSQL cannot store it.
pub fn replace_nul(message: &str) -> String {
    message.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Repeats(#[source] std::fmt::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("outermost")]
    struct Silent(#[source] Repeats);

    #[test]
    fn a_character_that_postgresql_cannot_store_is_replaced() {
        let error = std::io::Error::other("550 no\0such user");
        assert_eq!(format_error_chain(&error), "550 no\u{fffd}such user");
    }

    #[test]
    fn every_cause_appears_once() {
        let cause = std::fmt::Error;
        let expected = format!("outermost: outer: {cause}");
        assert_eq!(format_error_chain(&Silent(Repeats(cause))), expected);
    }
}
