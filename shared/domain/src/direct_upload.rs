//! Direct uploads: how far one is, and why one became no file.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// How far a direct upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum DirectUploadState {
    /// The client is to send bytes, and to say when it has.
    Waiting,
    /// The bytes are read back.
    Verifying,
    /// It has become a file, or a version of one.
    Done,
    /// It has become nothing.
    Refused,
}

/// Why a direct upload became nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum DirectRefusal {
    /// Parts are missing, or have other sizes.
    Incomplete,
    WrongSize,
    WrongChecksum,
    /// There is no room for it: the quota became smaller since the room was set aside.
    QuotaExceeded,
    /// The file that it was to be a version of has as many versions as it may.
    TooManyVersions,
    /// The file that it was to be a version of is gone.
    FileGone,
    TypeNotAllowed,
}

impl DirectRefusal {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
