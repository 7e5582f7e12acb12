//! Presets: the named recipes by which images are derived from an uploaded one, and the table of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_with::{DeserializeFromStr, SerializeDisplay};

/// What a preset is called in paths and in the settings: lower-case letters, digits and dashes.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr,
)]
pub struct PresetName(String);

/// How a picture is laid into the box. Neither makes it larger than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// All of it is seen; one side may be shorter than the box.
    Contain,
    /// The box is filled; what is outside of it is cut off evenly.
    Cover,
}

/// How the derived image is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Jpeg(Quality),
    WebP(Quality),
    /// Without loss.
    Png,
}

/// From 1, the smallest, to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quality(u8);

/// What is made: a box in pixels, how the picture is laid into it, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, SerializeDisplay, DeserializeFromStr)]
pub struct Recipe {
    pub width: u32,
    pub height: u32,
    pub fit: Fit,
    pub format: Format,
}

/// A recipe with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    pub name: PresetName,
    pub recipe: Recipe,
}

/// The table of presets, each name once. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presets(Arc<[Preset]>);

/// Why a text is no table of presets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresetError {
    #[error("{0:?}: `name=WIDTHxHEIGHT fit format` is expected, several separated by semicolons")]
    Shape(String),
    #[error(
        "{0:?} is no name: up to 32 lower-case letters, digits and dashes are expected, first a letter"
    )]
    Name(String),
    #[error(
        "{0:?} is no recipe: `WIDTHxHEIGHT fit format` is expected, like `256x256 contain webp q75`"
    )]
    Recipe(String),
    #[error(
        "{0:?} is no size: two numbers of pixels from 1 to {MAX_EDGE} are expected, like 256x256"
    )]
    Size(String),
    #[error("{0:?} is no fit; there are contain and cover")]
    Fit(String),
    #[error("{0:?} is no format; there are jpeg and webp, each with a quality like q75, and png")]
    Format(String),
    #[error("{0:?} is no quality: q1 to q100 are expected")]
    Quality(String),
    #[error("{0} stands there twice")]
    Twice(PresetName),
    #[error("there are more than {MAX_PRESETS}")]
    TooMany,
}

/// The longest side of a box, in pixels.
pub const MAX_EDGE: u32 = 4_096;

const MAX_PRESETS: usize = 16;

/// The kinds of file, as they are sniffed, that derived images are expected of. Of the last none can be made: its owners
/// are told so.
pub const IMAGE_TYPES: [&str; 8] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/tiff",
    "image/avif",
    "image/heif",
];

/// Whether derived images are expected of files of this (sniffed) type.
pub fn is_image(content_type: &str) -> bool {
    IMAGE_TYPES.contains(&content_type)
}

impl Presets {
    pub fn iter(&self) -> std::slice::Iter<'_, Preset> {
        self.0.iter()
    }

    pub fn find(&self, name: &PresetName) -> Option<&Preset> {
        self.iter().find(|preset| preset.name == *name)
    }
}

impl<'a> IntoIterator for &'a Presets {
    type Item = &'a Preset;
    type IntoIter = std::slice::Iter<'a, Preset>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for Presets {
    type Err = PresetError;

    fn from_str(text: &str) -> Result<Self, PresetError> {
        let mut presets: Vec<Preset> = Vec::new();
        for item in text
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (name, recipe) = item
                .split_once('=')
                .ok_or_else(|| PresetError::Shape(item.to_owned()))?;
            let preset = Preset {
                name: name.trim().parse()?,
                recipe: recipe.parse()?,
            };
            if presets.iter().any(|other| other.name == preset.name) {
                return Err(PresetError::Twice(preset.name));
            }
            presets.push(preset);
        }
        if presets.len() > MAX_PRESETS {
            Err(PresetError::TooMany)
        } else {
            Ok(Self(presets.into()))
        }
    }
}

impl fmt::Display for Presets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let presets: Vec<_> = self
            .iter()
            .map(|preset| format!("{}={}", preset.name, preset.recipe))
            .collect();
        f.write_str(&presets.join(";"))
    }
}

impl PresetName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PresetName {
    type Err = PresetError;

    fn from_str(text: &str) -> Result<Self, PresetError> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let first = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        if plain && first && text.len() <= 32 {
            Ok(Self(text.to_owned()))
        } else {
            Err(PresetError::Name(text.to_owned()))
        }
    }
}

impl fmt::Display for PresetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Recipe {
    type Err = PresetError;

    fn from_str(text: &str) -> Result<Self, PresetError> {
        let words: Vec<_> = text.split_whitespace().collect();
        let (size, fit, format) = match words.as_slice() {
            [size, fit, rest @ ..] if !rest.is_empty() => (size, fit, rest),
            _ => return Err(PresetError::Recipe(text.trim().to_owned())),
        };
        let (width, height) =
            read_size(size).ok_or_else(|| PresetError::Size((*size).to_owned()))?;
        let fit = match *fit {
            "contain" => Fit::Contain,
            "cover" => Fit::Cover,
            other => return Err(PresetError::Fit(other.to_owned())),
        };
        let format = match format {
            ["jpeg", quality] => Format::Jpeg(quality.parse()?),
            ["webp", quality] => Format::WebP(quality.parse()?),
            ["png"] => Format::Png,
            other => return Err(PresetError::Format(other.join(" "))),
        };
        Ok(Self {
            width,
            height,
            fit,
            format,
        })
    }
}

fn read_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let edge = |text: &str| {
        let edge = text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())
            .flatten();
        edge.filter(|edge| (1..=MAX_EDGE).contains(edge))
    };
    Some((edge(width)?, edge(height)?))
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fit = match self.fit {
            Fit::Contain => "contain",
            Fit::Cover => "cover",
        };
        write!(f, "{}x{} {fit} ", self.width, self.height)?;
        match self.format {
            Format::Jpeg(quality) => write!(f, "jpeg q{}", quality.0),
            Format::WebP(quality) => write!(f, "webp q{}", quality.0),
            Format::Png => f.write_str("png"),
        }
    }
}

impl Quality {
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl FromStr for Quality {
    type Err = PresetError;

    fn from_str(text: &str) -> Result<Self, PresetError> {
        let digits = text
            .strip_prefix('q')
            .filter(|digits| digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        let quality = digits
            .and_then(|digits| digits.parse().ok())
            .filter(|quality| (1..=100).contains(quality));
        quality
            .map(Self)
            .ok_or_else(|| PresetError::Quality(text.to_owned()))
    }
}

impl Format {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg(_) => "image/jpeg",
            Self::WebP(_) => "image/webp",
            Self::Png => "image/png",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_is_read_and_shown() {
        let text = " small=256x256 cover  webp q75 ;large = 1024x768 contain jpeg q100; tiny=1x4096 cover png;";
        let presets: Presets = text.parse().expect("a table");
        let shown =
            "small=256x256 cover webp q75;large=1024x768 contain jpeg q100;tiny=1x4096 cover png";
        assert_eq!(presets.to_string(), shown);
        assert_eq!(
            presets
                .find(&"large".parse().expect("a name"))
                .expect("is there")
                .recipe
                .width,
            1024
        );
        assert_eq!(presets.find(&"huge".parse().expect("a name")), None);
        assert_eq!(
            "".parse::<Presets>()
                .expect("an empty table")
                .iter()
                .count(),
            0
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        for (text, told) in [
            ("small", "`name=WIDTHxHEIGHT fit format` is expected"),
            ("Small=1x1 cover png", "\"Small\" is no name"),
            ("1=1x1 cover png", "\"1\" is no name"),
            ("=1x1 cover png", "\"\" is no name"),
            ("a/b=1x1 cover png", "\"a/b\" is no name"),
            ("a=256x256 webp", "is no recipe"),
            ("a=256x256", "is no recipe"),
            ("a=", "is no recipe"),
            ("a=256 cover png", "\"256\" is no size"),
            ("a=0x256 cover png", "\"0x256\" is no size"),
            ("a=256x4097 cover png", "from 1 to 4096"),
            ("a=+1x256 cover png", "is no size"),
            (
                "a=256x256 crop png",
                "\"crop\" is no fit; there are contain and cover",
            ),
            ("a=256x256 cover gif", "\"gif\" is no format"),
            ("a=256x256 cover png q75", "\"png q75\" is no format"),
            ("a=256x256 cover webp", "\"webp\" is no format"),
            ("a=256x256 cover webp q0", "\"q0\" is no quality"),
            ("a=256x256 cover webp q101", "\"q101\" is no quality"),
            ("a=256x256 cover webp 75", "\"75\" is no quality"),
            ("a=1x1 cover png;a=2x2 cover png", "a stands there twice"),
        ] {
            let refusal = text.parse::<Presets>().expect_err(text).to_string();
            assert!(refusal.contains(told), "{text}: {refusal}");
        }
        let many: Vec<_> = (0..17)
            .map(|number| format!("p{number}=1x1 cover png"))
            .collect();
        assert_eq!(many.join(";").parse::<Presets>(), Err(PresetError::TooMany));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_shown_is_read_again(
            text in "[a-c]{0,2}=?[0-9]{0,4}x[0-9]{0,4} (contain|cover|x) (jpeg|webp|png)( q[0-9]{1,3})?;?",
        ) {
            if let Ok(presets) = text.parse::<Presets>() {
                prop_assert_eq!(presets.to_string().parse::<Presets>(), Ok(presets));
            }
        }
    }
}
