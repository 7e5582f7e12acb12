//! Presets: the recipes by which images are derived from an uploaded one.

use std::fmt;

/// A recipe: the picture fits a square box of [`Preset::edge`] pixels and is never enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    Small,
    Large,
}

impl Preset {
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// The edge of the box, in pixels.
    pub const fn edge(self) -> u32 {
        match self {
            Self::Small => 256,
            Self::Large => 1024,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == text)
    }

    /// Whether derived images are made of files of this (sniffed) type.
    pub fn applies_to(content_type: &str) -> bool {
        matches!(
            content_type,
            "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/bmp" | "image/tiff"
        )
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
