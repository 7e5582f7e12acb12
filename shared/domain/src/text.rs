//! Short texts that people give and other people read.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

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

/// Combining marks on one character; what scripts need are four, Zalgo text has dozens.
const MAX_MARKS: usize = 6;

/// Parses a text of one to `max` characters that people see: a [`single_line`] with a visible character, without
/// characters that show nothing and without piles of combining marks. `what` it is begins the sentence of a refusal.
pub(crate) fn bounded_line(what: &str, text: &str, max: usize) -> Result<String, Rejection> {
    let line = single_line(text)?;
    if line.is_empty() {
        return Err(Rejection::new(
            "too_short",
            format!("{what} has at least one visible character."),
        ));
    }
    if line.chars().count() > max {
        return Err(Rejection::new(
            "too_long",
            format!("{what} has at most {max} characters."),
        ));
    }
    if line.chars().any(is_invisible) || has_stray_joiner(&line) {
        return Err(Rejection::new(
            "invisible_character",
            format!("{what} contains an invisible character."),
        ));
    }
    if has_pile_of_marks(&line) {
        let detail = format!("{what} has at most {MAX_MARKS} combining marks on one character.");
        return Err(Rejection::new("too_many_marks", detail));
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

/// Returns whether a character shows nothing by itself: default-ignorable code points (Unicode, section 5.21) with Hangul
/// fillers and tag characters among them, blank Braille, and interlinear annotation. Joiners and variation selectors,
/// which emoji and several scripts need, are not among them.
pub(crate) fn is_invisible(c: char) -> bool {
    match c {
        '\u{2800}' | '\u{FFF9}'..='\u{FFFB}' => true,
        _ => CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) && !is_joiner(c),
    }
}

/// Joiners, and variation selectors of emoji, CJK and Mongolian.
pub(crate) fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{180B}'..='\u{180F}')
}

/// Returns whether a joiner joins nothing: at the beginning, after a space, or after another one that is no variation
/// selector of an emoji.
fn has_stray_joiner(line: &str) -> bool {
    let mut previous = ' ';
    line.chars().any(|c| {
        let is_stray = is_joiner(c) && !may_follow(previous, c);
        previous = c;
        is_stray
    })
}

fn may_follow(previous: char, joiner: char) -> bool {
    !previous.is_whitespace()
        && (!is_joiner(previous)
            || (joiner == '\u{200D}' && matches!(previous, '\u{FE00}'..='\u{FE0F}')))
}

/// Makes one trimmed line in NFC of any text: what breaks lines becomes a space, and characters that show nothing or
/// reorder text are dropped, but joiners that join something and the tags of flags.
pub(crate) fn visible_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut previous = ' ';
    for c in text.chars() {
        let is_dropped =
            c.is_control() || is_deceptive(c) || is_invisible(c) && !is_tag_of_flag(previous, c);
        let shown = match c {
            _ if is_dropped && c.is_whitespace() => ' ',
            _ if is_dropped || is_joiner(c) && !may_follow(previous, c) => continue,
            _ => c,
        };
        line.push(shown);
        previous = shown;
    }
    line.trim().nfc().collect()
}

/// Tags after a black flag, as in that of Scotland.
fn is_tag_of_flag(previous: char, c: char) -> bool {
    let is_tag = |c| matches!(c, '\u{E0020}'..='\u{E007F}');
    is_tag(c) && (previous == '\u{1F3F4}' || is_tag(previous))
}

fn has_pile_of_marks(line: &str) -> bool {
    let mut marks = 0;
    line.nfd().any(|c| {
        marks = if is_combining_mark(c) { marks + 1 } else { 0 };
        marks > MAX_MARKS
    })
}

/// Digits in a text from which on mail programs may take it for a telephone number.
const MAX_DIGITS: usize = 4;

/// Returns whether a text that a person chose may stand in a mail: it contains nothing that mail programs make a link of,
/// such as a scheme, a host name, an address or a telephone number.
pub fn is_plain_in_mail(text: &str) -> bool {
    let text: Vec<char> = text
        .nfkc()
        .filter(|c| !is_joiner(*c) && !is_invisible(*c))
        .collect();
    if text.iter().filter(|c| c.is_numeric()).count() > MAX_DIGITS {
        return false;
    }
    text.iter().enumerate().all(|(place, c)| match c {
        '@' | '/' | '\\' | '<' | '>' | '[' | ']' | '(' | ')' => false,
        // `www.example`, `https:x`, and full stops of other scripts that browsers take for a dot.
        '.' | ':' | '\u{3002}' | '\u{FF61}' => {
            text.get(place + 1).is_none_or(|next| next.is_whitespace())
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_lines_without_tricks() {
        assert_eq!(
            DisplayName::parse("  Ada 👩‍💻 ").expect("ok").as_str(),
            "Ada 👩‍💻"
        );
        for bad in ["", "   ", "a\0b", "a\nb", "a\u{202E}b", "\u{1b}[31m"] {
            assert!(DisplayName::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn names_of_every_script_are_accepted() {
        for name in [
            "Zoë Müller-Lüdenscheidt",
            "Nguyễn Thị Minh Khai",
            "علی‌رضا",
            "ශ්‍රී ලංකා",
            "ปิ่นเพ็ชร",
            "မြွှံ့",
            "བསྒྲུབས",
            "שָׁלוֹם",
            "김민준",
            "渡邉󠄀",
            "👨‍👩‍👧‍👦",
            "❤️‍🔥 Ada",
            "O'Neill, J. R.",
        ] {
            assert!(
                DisplayName::parse(name).is_ok(),
                "{name} was refused: {:?}",
                DisplayName::parse(name)
            );
        }
    }

    #[test]
    fn invisible_names_are_refused() {
        for bad in [
            "\u{3164}",
            "\u{2800}",
            "\u{00AD}",
            "\u{115F}",
            "\u{1160}",
            "\u{FFA0}",
            "\u{FFF9}",
            "\u{E0041}",
            "\u{034F}",
            "\u{200D}",
            "\u{FE0F}",
            "a\u{200D}\u{200D}b",
            "a\u{200C}\u{200C}b",
            "Ada\u{3164}",
            "Ada\u{E0041}\u{E0042}",
        ] {
            let refused = DisplayName::parse(bad).expect_err(bad);
            assert_eq!(refused.code, "invisible_character", "{bad:?}");
        }
    }

    #[test]
    fn a_pile_of_marks_is_refused() {
        let piled = format!("a{}", "\u{301}".repeat(99));
        assert_eq!(
            DisplayName::parse(&piled).expect_err("a pile").code,
            "too_many_marks"
        );
        assert!(DisplayName::parse(&format!("a{}", "\u{301}".repeat(6))).is_ok());
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

    #[test]
    fn only_names_without_links_stand_in_mails() {
        for name in [
            "Ada",
            "Ada Lovelace",
            "J. R. R. Tolkien",
            "O'Neill-Müller, Jr.",
            "李小龍",
            "Agent 007",
            "👩‍💻 Ada: Dev",
        ] {
            assert!(is_plain_in_mail(name), "{name}");
        }
        for link in [
            "https://evil.example/win",
            "Ada, get it at HTTPS://evil",
            "www.evil",
            "evil.example",
            "evil．example",
            "evil。example",
            "ev\u{00AD}il.example",
            "evil.\u{200D}example",
            "mailto:a",
            "tel:1",
            "a@b",
            "ａ＠ｂ",
            "evil.рф",
            "call +1 555 0100",
            "[here](x)",
            "//evil",
            "J.R.R. Tolkien",
        ] {
            assert!(!is_plain_in_mail(link), "{link}");
        }
    }
}
