//! Files: their names, states and derived images.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};
use time::OffsetDateTime;

use crate::id::{BlobId, FileId, JobId, UserId};
use crate::picture::Picture;
use crate::preset::{PresetName, Recipe};
use crate::rejection::Rejection;
use crate::text::{is_joiner, single_line, visible_line};

/// The name under which a file is shown and downloaded; never a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileName(String);

impl FileName {
    /// As file systems count, in UTF-8.
    pub const MAX_BYTES: usize = 255;

    /// Bytes of an extension, with its dot, that is kept when a name is cut.
    const MAX_EXTENSION_BYTES: usize = 32;

    /// Makes a name of what a client says of a file that it uploads: of a path the last part, without characters that
    /// show nothing, cut to [`Self::MAX_BYTES`] before its extension.
    ///
    /// # Errors
    /// If nothing is left.
    pub fn clean(text: &str) -> Result<Self, Rejection> {
        let path = text.trim_end_matches(['/', '\\']);
        let name = visible_line(path.rsplit(['/', '\\']).next().unwrap_or(path));
        match name.as_str() {
            "" => Err(Rejection::new(
                "too_short",
                "A file name has at least one visible character.",
            )),
            "." | ".." => Err(Rejection::new(
                "invalid_file_name",
                "A file name is not . or ..",
            )),
            _ => Ok(Self(Self::cut(name))),
        }
    }

    fn cut(name: String) -> String {
        if name.len() <= Self::MAX_BYTES {
            return name;
        }
        let (stem, extension) = match name.rfind('.') {
            Some(dot) if name.len() - dot <= Self::MAX_EXTENSION_BYTES => name.split_at(dot),
            _ => (name.as_str(), ""),
        };
        let end = stem.floor_char_boundary(Self::MAX_BYTES - extension.len());
        let stem = stem[..end].trim_end_matches(|c: char| c.is_whitespace() || is_joiner(c));
        format!("{stem}{extension}")
    }

    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let name = single_line(text)?;
        if name.is_empty() {
            return Err(Rejection::new(
                "too_short",
                "A file name has at least one character.",
            ));
        }
        if name.len() > Self::MAX_BYTES {
            return Err(Rejection::new(
                "too_long",
                format!("A file name has at most {} bytes.", Self::MAX_BYTES),
            ));
        }
        if name.contains(['/', '\\']) || name == "." || name == ".." {
            return Err(Rejection::new(
                "invalid_file_name",
                "A file name is not a path: it has no / or \\.",
            ));
        }
        Ok(Self(name))
    }

    /// One that was parsed before it was stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A word by which its owner finds a file again; the same in any case of its letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
pub struct Tag(String);

impl Tag {
    pub const MAX_CHARS: usize = 64;
    /// Tags of one file.
    pub const MAX_COUNT: usize = 32;

    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let tag = single_line(text)?.to_lowercase();
        if tag.is_empty() {
            return Err(Rejection::new(
                "too_short",
                "A tag has at least one character.",
            ));
        }
        if tag.chars().count() > Self::MAX_CHARS {
            return Err(Rejection::new(
                "too_long",
                format!("A tag has at most {} characters.", Self::MAX_CHARS),
            ));
        }
        Ok(Self(tag))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a file is in its life.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum FileState {
    Ready,
    Trashed,
}

impl FileState {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Where a derived image is in its making.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum VariantState {
    Pending,
    Ready,
    Failed,
}

impl VariantState {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why there is no derived image.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum VariantFailure {
    /// The image cannot be made of this file.
    Unreadable,
    /// An error of this service, which operators find among the dead letters.
    Internal,
}

impl VariantFailure {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a scanner for viruses says of bytes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum ScanState {
    /// No scanner was configured.
    Unscanned,
    /// The scan is not done yet. The bytes cannot be downloaded.
    Pending,
    Clean,
    /// The scanner found a virus. The bytes cannot be downloaded.
    Infected,
    /// Too large for the scanner. The bytes cannot be downloaded unless the installation allows it.
    TooLarge,
}

impl ScanState {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What was done about the metadata of a picture: places, cameras, times, comments.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum MetadataState {
    /// None is removed.
    Kept,
    /// The metadata is not removed yet. The image cannot be downloaded.
    Pending,
    Stripped,
    /// The metadata cannot be removed. The image cannot be downloaded.
    Failed,
}

impl MetadataState {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What is known of metadata in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub state: MetadataState,
    /// Why it cannot be taken out, in words for the owner.
    pub reason: Option<String>,
}

/// What is known of viruses in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    pub state: ScanState,
    pub at: Option<OffsetDateTime>,
    /// The name of what was found.
    pub signature: Option<String>,
}

/// A stored file, as its current version has it.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub id: FileId,
    pub owner_id: UserId,
    pub name: String,
    pub tags: Vec<Tag>,
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    pub sha256: [u8; 32],
    pub state: FileState,
    /// 1 for the first.
    pub version: i32,
    pub blob: BlobId,
    pub scan: Scan,
    pub metadata: Metadata,
    /// Makes the variants, or did.
    pub job: Option<JobId>,
    /// `None` where it is none, or was not read, or not yet.
    pub picture: Option<Picture>,
    pub variants: Vec<Variant>,
    pub created_at: OffsetDateTime,
    /// When its name, its tags or its content last changed.
    pub updated_at: OffsetDateTime,
    pub trashed_at: Option<OffsetDateTime>,
}

/// What a file was at some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// 1 for the first.
    pub number: i32,
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    pub sha256: [u8; 32],
    pub blob: BlobId,
    pub scan: Scan,
    pub metadata: Metadata,
    pub created_at: OffsetDateTime,
}

impl File {
    /// The hash as people and programs write it.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }
}

impl Version {
    /// The hash as people and programs write it.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// An image derived from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    pub preset: PresetName,
    /// By which it was made, or tried.
    pub recipe: Option<Recipe>,
    pub state: VariantState,
    pub rendition: Option<Rendition>,
    /// Why it failed, in words for the owner.
    pub reason: Option<String>,
    /// Absent where an older release wrote that it failed.
    pub failure: Option<VariantFailure>,
}

/// The bytes of a finished variant, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    pub width: i32,
    pub height: i32,
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    /// `None` for one of before variants were sealed.
    pub sha256: Option<[u8; 32]>,
    pub object_key: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tag_is_the_same_in_any_case() {
        assert_eq!(
            Tag::parse(" Urlaub ").expect("ok"),
            Tag::parse("urlaub").expect("ok")
        );
        for bad in ["", " ", "a\nb", &"x".repeat(65)] {
            assert!(Tag::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_file_name_is_never_a_path() {
        assert_eq!(
            FileName::parse(" holiday (1).jpg ").expect("ok").as_str(),
            "holiday (1).jpg"
        );
        for bad in [
            "",
            "..",
            ".",
            "../../x",
            "a/b",
            "a\\b",
            "a\0b",
            "a\r\nb",
            &"x".repeat(256),
        ] {
            assert!(FileName::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn what_a_client_calls_a_file_is_cleaned() {
        for (text, expected) in [
            ("../../x", "x"),
            ("/etc/passwd", "passwd"),
            ("C:\\dir\\a.txt", "a.txt"),
            ("dir/", "dir"),
            (" a\u{200E}\u{200B}\u{FEFF}\u{202E}.txt", "a.txt"),
            ("a\r\nb.txt", "a  b.txt"),
            ("e\u{200B}\u{301}", "é"),
            ("👩‍💻 علی‌رضا ❤️.png", "👩‍💻 علی‌رضا ❤️.png"),
            (
                "🏴\u{E0067}\u{E0062}\u{E007F}a\u{E0041}",
                "🏴\u{E0067}\u{E0062}\u{E007F}a",
            ),
            ("\u{200D}a", "a"),
        ] {
            assert_eq!(
                FileName::clean(text).map(|name| name.0).as_deref(),
                Ok(expected),
                "{text:?}"
            );
        }
        for nothing in [
            "",
            " ",
            "/",
            "a/..",
            ".",
            "\u{200B}",
            ".\u{200B}.",
            "\u{E0041}",
        ] {
            assert!(FileName::clean(nothing).is_err(), "{nothing:?} was taken");
        }
    }

    #[test]
    fn a_long_name_is_cut_before_its_extension() {
        for (text, expected) in [
            (
                format!("{}.txt", "中".repeat(85)),
                format!("{}.txt", "中".repeat(83)),
            ),
            ("x".repeat(300), "x".repeat(255)),
            (
                format!("{}👩\u{200D}👩.png", "x".repeat(244)),
                format!("{}👩.png", "x".repeat(244)),
            ),
            (
                format!("a.{}", "x".repeat(300)),
                format!("a.{}", "x".repeat(253)),
            ),
        ] {
            assert_eq!(FileName::clean(&text).map(|name| name.0), Ok(expected));
        }
    }

    proptest! {
        #[test]
        fn a_cleaned_name_is_a_name(text in "(\\PC|[\u{200B}-\u{200F}\u{FE0F}./\\\\ \n]){0,300}") {
            if let Ok(name) = FileName::clean(&text) {
                prop_assert_eq!(FileName::parse(name.as_str()), Ok(name));
            }
        }
    }
}
