//! What is known of a picture beside its pixels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_with::{DeserializeFromStr, SerializeDisplay};
use time::{Date, Month, Time};

/// What a file that is a picture says of itself, and what stands for it until it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Pixels, of the picture as it is seen: turned upright.
    pub width: u32,
    pub height: u32,
    pub taken_at: Option<TakenAt>,
    pub blurhash: Option<Blurhash>,
}

/// When a picture was taken, as the camera's clock showed it: RFC 3339, without an offset where the camera did not tell
/// it.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDisplay, DeserializeFromStr)]
pub struct TakenAt(String);

/// A picture of a few colours in a few letters (blurha.sh).
#[derive(Debug, Clone, PartialEq, Eq, SerializeDisplay, DeserializeFromStr)]
pub struct Blurhash(String);

/// A text that is no such value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the form that is expected")]
pub struct Malformed;

impl FromStr for TakenAt {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (clock, offset) = text.split_at_checked(19).ok_or(Malformed)?;
        let shape = clock
            .bytes()
            .zip(*b"0000-00-00T00:00:00")
            .all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            });
        if !shape {
            return Err(Malformed);
        }
        let number =
            |range: std::ops::Range<usize>| clock[range].parse::<u8>().map_err(|_| Malformed);
        let year = clock[..4].parse().map_err(|_| Malformed)?;
        let month = Month::try_from(number(5..7)?).map_err(|_| Malformed)?;
        Date::from_calendar_date(year, month, number(8..10)?).map_err(|_| Malformed)?;
        Time::from_hms(number(11..13)?, number(14..16)?, number(17..19)?).map_err(|_| Malformed)?;
        if is_offset(offset) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed)
        }
    }
}

/// Nothing, `Z`, or hours and minutes from UTC.
fn is_offset(text: &str) -> bool {
    let two = |text: &[u8], most: u8| match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => (tens - b'0') * 10 + (ones - b'0') <= most,
        _ => false,
    };
    match text.as_bytes() {
        [] | [b'Z'] => true,
        [b'+' | b'-', hours @ .., b':', m, n] => two(hours, 15) && two(&[*m, *n], 59),
        _ => false,
    }
}

impl FromStr for Blurhash {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let letters = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"#$%*+,-.:;=?@[]^_{|}~".contains(&byte));
        // Of 1 to 9 by 9 components: six letters and two for each component after the first.
        if letters && (6..=166).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed)
        }
    }
}

impl TakenAt {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TakenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Blurhash {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Blurhash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_camera_tells_its_time_with_or_without_an_offset() {
        for text in [
            "2024-05-01T12:33:00",
            "2024-02-29T23:59:59Z",
            "2024-05-01T12:33:00+02:00",
            "1999-12-31T00:00:00-11:30",
        ] {
            assert_eq!(text.parse::<TakenAt>().expect(text).as_str(), text);
        }
        for text in [
            "",
            "2024-05-01",
            "2024:05:01 12:33:00",
            "0000-00-00T00:00:00",
            "2023-02-29T12:00:00",
            "2024-05-01T24:00:00",
            "2024-05-01T12:33:00+2:00",
            "2024-05-01T12:33:00+16:00",
            "2024-05-01T12:33:00 ",
            "2024-05-01T12:33:0é",
        ] {
            assert_eq!(text.parse::<TakenAt>(), Err(Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_refused(text in ".{0,30}") {
            let _ = (text.parse::<TakenAt>(), text.parse::<Blurhash>());
        }
    }
}
