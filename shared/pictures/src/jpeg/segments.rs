//! The segments of a JPEG (ITU-T T.81, annex B): a marker, usually followed by a length and a
//! payload.

use crate::Unreadable;
use crate::input::Input;

pub(crate) const START: u8 = 0xd8;
pub(crate) const END: u8 = 0xd9;
pub(crate) const SCAN: u8 = 0xda;
pub(crate) const APP0: u8 = 0xe0;
pub(crate) const APP1: u8 = 0xe1;
pub(crate) const APP2: u8 = 0xe2;
pub(crate) const APP14: u8 = 0xee;

/// Prefix of an EXIF segment.
pub(crate) const EXIF: &[u8] = b"Exif\0\0";

/// Prefix of a segment with an ICC profile.
pub(crate) const ICC: &[u8] = b"ICC_PROFILE\0";

/// Reads a marker, which any number of `ff` may precede.
pub(crate) fn marker(input: &mut Input<'_>) -> Result<u8, Unreadable> {
    if input.byte()? != 0xff {
        return Err(Unreadable::Damaged);
    }
    loop {
        match input.byte()? {
            0xff => {}
            marker => return Ok(marker),
        }
    }
}

/// Finds the next marker, and skips all bytes before it: the data of a scan, or invalid bytes.
pub(crate) fn next_marker(input: &mut Input<'_>) -> Result<u8, Unreadable> {
    loop {
        let length = input
            .0
            .iter()
            .position(|byte| *byte == 0xff)
            .unwrap_or(input.0.len());
        input.take(length + 1)?;
        loop {
            match input.byte()? {
                0xff => {}
                0 => break,
                marker => return Ok(marker),
            }
        }
    }
}

/// Returns whether a marker has no payload.
pub(crate) fn has_no_payload(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xd0..=START)
}

/// Returns the file up to its first truncated segment. libjpeg fails at such a segment, although
/// earlier scans are complete.
pub(crate) fn before_truncated_segment(file: &[u8]) -> &[u8] {
    let mut input = Input(file);
    while let Ok(marker) = next_marker(&mut input) {
        let begin = file.len() - input.0.len() - 2;
        match marker {
            END => break,
            marker if has_no_payload(marker) => {}
            _ if payload(&mut input).is_err() => return &file[..begin],
            _ => {}
        }
    }
    file
}

/// Reads the payload of a segment, after its length.
pub(crate) fn payload<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Unreadable> {
    let length = usize::from(u16::from_be_bytes(input.array()?));
    input.take(length.checked_sub(2).ok_or(Unreadable::Damaged)?)
}
