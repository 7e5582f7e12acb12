//! Which media types are meant: `image/*`, `application/pdf`, or all.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A media type, or all whose first part is the same, or all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaRange {
    All,
    /// All of a top-level type.
    Of(String),
    One(String),
}

/// Several of them. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaTypes(Arc<[MediaRange]>);

/// Why a text names no media types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypesError {
    #[error("{0:?} is no media type: `image/*`, `application/pdf` or `*/*` is expected")]
    Shape(String),
    #[error("one media type at least is expected; `*/*` is all")]
    None,
}

impl MediaTypes {
    /// Any.
    pub fn all() -> Self {
        Self(Arc::new([MediaRange::All]))
    }

    /// Whether a media type without parameters is among them.
    pub fn contains(&self, media_type: &str) -> bool {
        self.0.iter().any(|range| match range {
            MediaRange::All => true,
            MediaRange::Of(top) => media_type
                .split_once('/')
                .is_some_and(|(own, _)| own == top),
            MediaRange::One(one) => one == media_type,
        })
    }

    /// Those of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut ranges: Vec<_> = self.0.iter().chain(&*other.0).cloned().collect();
        ranges.sort_unstable();
        ranges.dedup();
        Self(ranges.into())
    }
}

/// The top-level types that are registered (IANA, as of 2025).
const TOP_LEVEL: [&str; 10] = [
    "application",
    "audio",
    "font",
    "haptics",
    "image",
    "message",
    "model",
    "multipart",
    "text",
    "video",
];

impl MediaRange {
    /// Parses what a list is filtered by: a range of a registered top-level type, or that type alone (`image`).
    pub fn parse_filter(text: &str) -> Result<Self, MediaTypesError> {
        let range = if text.contains('/') {
            text.parse()
        } else {
            format!("{text}/*").parse()
        }?;
        let is_known = match &range {
            Self::All => true,
            Self::Of(top) => TOP_LEVEL.contains(&top.as_str()),
            Self::One(one) => one
                .split_once('/')
                .is_some_and(|(top, _)| TOP_LEVEL.contains(&top)),
        };
        if is_known {
            Ok(range)
        } else {
            Err(MediaTypesError::Shape(text.to_owned()))
        }
    }
}

impl FromStr for MediaTypes {
    type Err = MediaTypesError;

    fn from_str(text: &str) -> Result<Self, MediaTypesError> {
        let ranges = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let ranges: Vec<MediaRange> = ranges.map(str::parse).collect::<Result<_, _>>()?;
        if ranges.is_empty() {
            Err(MediaTypesError::None)
        } else {
            Ok(Self(ranges.into()))
        }
    }
}

impl FromStr for MediaRange {
    type Err = MediaTypesError;

    fn from_str(text: &str) -> Result<Self, MediaTypesError> {
        let text = text.to_ascii_lowercase();
        match text.split_once('/') {
            Some(("*", "*")) => Ok(Self::All),
            Some((top, "*")) if is_token(top) => Ok(Self::Of(top.to_owned())),
            Some((top, sub)) if is_token(top) && is_token(sub) => Ok(Self::One(text)),
            _ => Err(MediaTypesError::Shape(text)),
        }
    }
}

/// A restricted name of RFC 6838, section 4.2.
fn is_token(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 127
        && text.chars().all(is_inner)
}

impl fmt::Display for MediaTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&ranges.join(","))
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*/*"),
            Self::Of(top) => write!(f, "{top}/*"),
            Self::One(one) => f.write_str(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(text: &str) -> MediaTypes {
        text.parse().expect("they are media types")
    }

    #[test]
    fn a_range_stands_for_all_of_its_types() {
        let types = types("image/*, application/pdf");
        assert!(types.contains("image/png"));
        assert!(types.contains("application/pdf"));
        assert!(!types.contains("application/zip"));
        assert!(!types.contains("imagery/png"));
    }

    #[test]
    fn a_filter_is_a_range_or_a_top_level_type() {
        let image = Ok(MediaRange::Of("image".to_owned()));
        assert_eq!(MediaRange::parse_filter("image"), image);
        assert_eq!(MediaRange::parse_filter("Image/*"), image);
        assert_eq!(
            MediaRange::parse_filter("image/PNG"),
            Ok(MediaRange::One("image/png".to_owned()))
        );
        assert_eq!(MediaRange::parse_filter("*/*"), Ok(MediaRange::All));
        for text in [
            "",
            "imgae",
            "imgae/png",
            "image/",
            "image/png,image/gif",
            "text/plain; charset=utf-8",
            "\0",
        ] {
            assert!(MediaRange::parse_filter(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn all_stands_for_everything() {
        assert!(types("*/*").contains("application/octet-stream"));
    }

    #[test]
    fn both_are_those_of_either() {
        let both = types("image/*").and(&types("text/plain,image/*"));
        assert_eq!(both.to_string(), "image/*,text/plain");
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for text in [
            "",
            "image",
            "*/png",
            "image/",
            "/png",
            "image/p ng",
            "text/html;charset=utf-8",
            "**",
        ] {
            assert!(text.parse::<MediaTypes>().is_err(), "{text:?}");
        }
    }
}
