//! How many guesses a password withstands, as zxcvbn estimates it, and what that costs.

use zxcvbn::Entropy;

/// So many characters are read of any password: twelve that follow no pattern withstand more guesses than any bar asks.
const MIN_CHARS: usize = 12;
/// What follows so many can only add to the strength.
const MAX_CHARS: usize = 64;
/// The crate reads up to 100 characters, in a time that grows with the square of their number and with the number of
/// ways to read the symbols among them as letters: 0.7 s of CPU for the worst of them, which anybody could send. Up
/// to this product of the two it takes 4 ms.
const MAX_WORK: usize = 8_192;
/// The symbols among which the crate tries each as one letter: a, c, g, i, l, s, t. Others stand for one letter alone.
const SYMBOLS_OF_A_LETTER: [&str; 7] = ["4@", "({[<", "69", "1!|", "1|7", "$5", "+7"];

/// What a password withstands.
pub(super) struct Strength(Entropy);

impl Strength {
    /// Estimates a password for somebody who tries `names` first.
    pub(super) fn of(password: &str, names: &[&str]) -> Self {
        Self(zxcvbn::zxcvbn(affordable(password), names))
    }

    /// 0 (under 10^3 guesses), 1 (10^6), 2 (10^8), 3 (10^10) or 4.
    pub(super) fn score(&self) -> u8 {
        self.0.score().into()
    }

    /// What is weak about the password and would make it better, in sentences; may be empty.
    pub(super) fn advice(&self) -> Vec<String> {
        let feedback = self.0.feedback();
        let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning);
        let suggestions = feedback.map_or(&[][..], |feedback| feedback.suggestions());
        warning
            .iter()
            .map(ToString::to_string)
            .chain(suggestions.iter().map(ToString::to_string))
            .collect()
    }
}

/// The beginning of a password, as much of it as can be estimated in a few milliseconds.
fn affordable(password: &str) -> &str {
    let ends = password
        .char_indices()
        .map(|(at, char)| at + char.len_utf8());
    let length = (1..=MAX_CHARS)
        .zip(ends)
        .take_while(|&(chars, end)| {
            chars <= MIN_CHARS || chars * chars * readings(&password[..end]) <= MAX_WORK
        })
        .last();
    &password[..length.map_or(0, |(_, end)| end)]
}

/// In how many ways its symbols can be read as letters.
fn readings(text: &str) -> usize {
    let present = |symbols: &&str| {
        symbols
            .chars()
            .filter(|symbol| text.contains(*symbol))
            .count()
    };
    SYMBOLS_OF_A_LETTER
        .iter()
        .map(present)
        .map(|symbols| symbols.max(1))
        .product()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_passwords_are_read_whole() {
        for password in [
            "",
            "p4$$w0rd",
            "correct horse battery",
            "!@#$%^&*()_+|",
            "träge Möwen über Kiel",
        ] {
            assert_eq!(affordable(password), password);
        }
    }

    #[test]
    fn only_the_beginning_of_a_long_password_is_read() {
        assert_eq!(affordable(&"ü".repeat(128)), "ü".repeat(64));
    }

    proptest! {
        #[test]
        fn the_more_readings_symbols_have_the_fewer_are_read(password in r"[4@8({\[<369!1|0$5+7%2a-e]{64,128}") {
            let read = affordable(&password);
            let chars = read.chars().count();
            prop_assert!((MIN_CHARS..=MAX_CHARS).contains(&chars));
            prop_assert!(chars == MIN_CHARS || chars.pow(2) * readings(read) <= MAX_WORK);
            prop_assert_eq!(Strength::of(&password, &[]).score(), 4);
        }
    }
}
