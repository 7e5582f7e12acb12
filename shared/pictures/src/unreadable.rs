//! The reasons why a file cannot be processed, with texts for its owner.

use image::ImageError;
use serde::{Deserialize, Serialize};

/// The reason why a file cannot be processed. The child sends it to the worker, so it contains no
/// data of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    #[error("The file is not an image of a supported format.")]
    Unknown,
    #[error("{0} is not supported.")]
    Unsupported(Feature),
    #[error("HEIC images cannot be shown. JPEG, PNG, GIF, WebP, AVIF, BMP and TIFF can.")]
    Heic,
    #[error(
        "AVIF images that are cropped, layered, animated or tiled cannot be shown. Single images can."
    )]
    Avif,
    #[error(
        "Metadata cannot be removed from images of this kind. It can be removed from JPEG, PNG, GIF, WebP, BMP and most TIFF images."
    )]
    Unstrippable,
    #[error("The image has too many pixels.")]
    TooManyPixels,
    #[error("The image needs more memory than is allowed.")]
    TooMuchMemory,
    #[error("The image takes too long to read.")]
    TooMuchTime,
    #[error("The image file is too large.")]
    TooLarge,
    #[error("The image is damaged.")]
    Damaged,
    #[error("The file ends before the image does.")]
    CutOff,
}

/// A feature of a supported format that no decoder here implements. A file that uses it is not
/// damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    #[error("Lossless JPEG")]
    LosslessJpeg,
    #[error("Hierarchical JPEG")]
    HierarchicalJpeg,
    #[error("JPEG with more than 8 bits per sample")]
    DeepJpeg,
    #[error("BMP with an OS/2 2 header")]
    Os2Bmp,
    #[error("TIFF with old-style JPEG compression")]
    OldJpegTiff,
    #[error("TIFF with this compression")]
    TiffCompression,
    #[error("TIFF in this color space")]
    TiffColours,
    #[error("TIFF with samples of this type")]
    TiffSamples,
}

impl From<ImageError> for Unreadable {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooMuchMemory,
            ImageError::Unsupported(_) => Self::Unknown,
            _ => Self::Damaged,
        }
    }
}
