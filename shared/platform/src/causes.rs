//! An error with all of its causes in one line.

use std::error::Error;

/// The error and its causes, each told once: many errors already repeat their cause.
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
    text
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
    fn every_cause_is_told_once() {
        let cause = std::fmt::Error;
        let expected = format!("outermost: outer: {cause}");
        assert_eq!(told(&Silent(Repeats(cause))), expected);
    }
}
