//! Removes the metadata of a picture's file and leaves every pixel unchanged.
//!
//! A container is read from its first byte to its last, and only the parts that are known to be
//! needed for display are written again. Everything else, known or unknown, is dropped. An
//! inconsistent file is rejected.

mod bmp;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use image::metadata::Orientation;
use plinth_domain::picture::TakenAt;

use crate::Unreadable;
use crate::metadata::taken_at;
use crate::render::PROCESS_BYTES;

/// A picture's file without its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripped {
    /// `None` if the file has no metadata.
    pub bytes: Option<Vec<u8>>,
    /// The time from the metadata, which is stored outside the file from now on.
    pub taken_at: Option<TakenAt>,
}

/// A rewritten file.
struct Rewritten<'a> {
    bytes: Vec<u8>,
    /// EXIF data: a TIFF header and what follows it.
    exif: Option<&'a [u8]>,
}

/// Returns the memory in bytes that a process needs to strip the file: the file grows while it is
/// read, is written again in two pieces, and its EXIF, which may be nearly all of it, is read once
/// more.
pub fn required_memory(file: &[u8]) -> u64 {
    let file = u64::try_from(file.len()).unwrap_or(u64::MAX);
    PROCESS_BYTES.saturating_add(file.saturating_mul(6))
}

/// Returns the file with its pixels, colours and orientation, and nothing else.
///
/// # Errors
/// [`Unreadable::Unstrippable`] if the format is not supported well enough, [`Unreadable::CutOff`]
/// if the file is truncated, and [`Unreadable::Damaged`] if it is inconsistent.
pub fn strip(file: &[u8]) -> Result<Stripped, Unreadable> {
    let rewritten = match file {
        [0xff, 0xd8, ..] => jpeg::rewrite(file),
        [0x89, b'P', b'N', b'G', ..] => png::rewrite(file),
        [b'G', b'I', b'F', b'8', ..] => gif::rewrite(file),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => webp::rewrite(file),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => tiff::rewrite(file),
        [b'B', b'M', ..] => bmp::rewrite(file),
        _ => Err(Unreadable::Unstrippable),
    }?;
    let taken_at = rewritten.exif.and_then(|exif| taken_at(exif.to_vec()));
    Ok(Stripped {
        bytes: (rewritten.bytes != file).then_some(rewritten.bytes),
        taken_at,
    })
}

/// Bytes of the result of [`orientation_only`].
const ORIENTATION_EXIF_BYTES: usize = 26;

/// Returns EXIF with only the orientation, or `None` if the picture is upright.
fn orientation_only(exif: &[u8]) -> Option<[u8; ORIENTATION_EXIF_BYTES]> {
    let orientation = Orientation::from_exif_chunk(exif)?;
    if orientation == Orientation::NoTransforms {
        return None;
    }
    let mut only = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    only[19] = orientation.to_exif();
    Some(only)
}
