//! Takes the metadata out of a picture's file and leaves every pixel as it is.
//!
//! A container is read from its first byte to its last, and what is known to be needed for showing the picture is
//! written again; whatever else there is, known or not, is left behind. What does not fit together is refused.

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
use crate::render::OWN;

/// A picture's file without its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripped {
    /// `None` where there was nothing to take out.
    pub bytes: Option<Vec<u8>>,
    /// What was in the metadata and is known beside the file from now on.
    pub taken_at: Option<TakenAt>,
}

/// What a container's reader makes of a file.
struct Rewritten<'a> {
    bytes: Vec<u8>,
    /// A TIFF header and what follows.
    exif: Option<&'a [u8]>,
}

/// All the memory, in bytes, that a process needs to strip the file: it grew as it came, it is written anew in two
/// pieces, and its EXIF, which may be nearly all of it, is read once more.
pub fn weigh(file: &[u8]) -> u64 {
    let file = u64::try_from(file.len()).unwrap_or(u64::MAX);
    OWN.saturating_add(file.saturating_mul(6))
}

/// The file with its pixels, its colours and its orientation, and nothing else.
///
/// # Errors
/// [`Unreadable::Unstrippable`] for what is not understood well enough, [`Unreadable::CutOff`] for what is not whole, and
/// [`Unreadable::Damaged`] for what does not fit together.
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

/// Bytes of [`orientation_only`].
const ORIENTATION_ONLY: usize = 26;

/// EXIF that says which way is up and nothing else; `None` where the picture is upright.
fn orientation_only(exif: &[u8]) -> Option<[u8; ORIENTATION_ONLY]> {
    let orientation = Orientation::from_exif_chunk(exif)?;
    if orientation == Orientation::NoTransforms {
        return None;
    }
    let mut only = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    only[19] = orientation.to_exif();
    Some(only)
}
