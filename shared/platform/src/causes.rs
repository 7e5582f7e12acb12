//! An error with all of its causes in one line.

use std::error::Error;

/// The error and its causes, each told once: many errors already repeat their cause. PostgreSQL can store the text.
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    storable(&text)
}

/// Text from another program, with U+0000 replaced, because PostgreSQL cannot store it.
pub fn storable(words: &str) -> String {
    words.replace('\0', "\u{fffd}")
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
    fn a_character_that_postgresql_does_not_store_is_replaced() {
        let error = std::io::Error::other("550 no\0such user");
        assert_eq!(told(&error), "550 no\u{fffd}such user");
    }

    #[test]
    fn every_cause_is_told_once() {
        let cause = std::fmt::Error;
        let expected = format!("outermost: outer: {cause}");
        assert_eq!(told(&Silent(Repeats(cause))), expected);
    }
}
