//! JPEG (ITU-T T.81, JFIF 1.02): keeps the segments that decoding needs, JFIF's density, Adobe's
//! colour transform and the ICC profile. Drops data after the end of the image, such as a motion
//! photo or the further pictures of a multi-picture file.

use super::{Rewritten, orientation_only};
use crate::Unreadable;
use crate::input::Input;
use crate::jpeg::segments::{
    APP0, APP1, APP2, APP14, END, EXIF, ICC, SCAN, START, marker, payload,
};

/// Bytes of a JFIF segment before the thumbnail: name, version and density.
const JFIF_BYTES: usize = 12;

/// Bytes of an Adobe segment: name, version, flags and colour transform.
const ADOBE_BYTES: usize = 12;

pub(super) fn rewrite(file: &[u8]) -> Result<Rewritten<'_>, Unreadable> {
    let mut input = Input(file);
    if input.array()? != [0xff, START] {
        return Err(Unreadable::Damaged);
    }
    let (mut jfif, mut exif, mut rest) = (None, None, Vec::with_capacity(file.len()));
    let mut has_scan = false;
    loop {
        let marker = marker(&mut input)?;
        if marker == END {
            break;
        }
        let payload = payload(&mut input)?;
        match marker {
            SCAN => {
                has_scan = true;
                check_that(
                    payload
                        .first()
                        .is_some_and(|count| payload.len() == 4 + 2 * usize::from(*count)),
                )?;
                write_segment(&mut rest, marker, payload)?;
                rest.extend_from_slice(read_scan(&mut input)?);
            }
            _ if is_needed_for_decoding(marker) => {
                check_that(has_exact_length(marker, payload))?;
                write_segment(&mut rest, marker, payload)?;
            }
            APP0 if payload.starts_with(b"JFIF\0") && jfif.is_none() => {
                jfif = Some(payload.get(..JFIF_BYTES).ok_or(Unreadable::Damaged)?);
            }
            // If there are several, the last one applies, as in decoding.
            APP1 if payload.starts_with(EXIF) => exif = payload.strip_prefix(EXIF),
            APP2 if payload.starts_with(ICC) => write_segment(&mut rest, marker, payload)?,
            APP14 if payload.starts_with(b"Adobe") => {
                write_segment(
                    &mut rest,
                    marker,
                    payload.get(..ADOBE_BYTES).ok_or(Unreadable::Damaged)?,
                )?;
            }
            // Application segments and comments.
            0xe0..=0xef | 0xfe => {}
            // Hierarchical pictures and undefined markers.
            _ => return Err(Unreadable::Unstrippable),
        }
    }
    check_that(has_scan)?;
    let mut bytes = Vec::with_capacity(rest.len() + 64);
    bytes.extend([0xff, START]);
    if let Some(jfif) = jfif {
        write_segment(&mut bytes, APP0, &[jfif, &[0, 0]].concat())?;
    }
    if let Some(only) = exif.and_then(orientation_only) {
        write_segment(&mut bytes, APP1, &[EXIF, &only].concat())?;
    }
    bytes.append(&mut rest);
    bytes.extend([0xff, END]);
    Ok(Rewritten { bytes, exif })
}

fn check_that(is_valid: bool) -> Result<(), Unreadable> {
    if is_valid {
        Ok(())
    } else {
        Err(Unreadable::Damaged)
    }
}

/// Reads the bytes of a scan, up to the next marker that is neither a stuffed `ff` nor a restart.
fn read_scan<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Unreadable> {
    let bytes = input.0;
    let mut from = 0;
    loop {
        let marker_at = bytes[from..]
            .iter()
            .position(|byte| *byte == 0xff)
            .ok_or(Unreadable::CutOff)?
            + from;
        match bytes.get(marker_at + 1).ok_or(Unreadable::CutOff)? {
            0 | 0xd0..=0xd7 => from = marker_at + 2,
            _ => return input.take(marker_at),
        }
    }
}

/// Returns whether decoding needs the segment: frame headers, tables, the restart interval, the
/// number of lines.
fn is_needed_for_decoding(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xc7 | 0xc9..=0xcf | 0xdb..=0xdd)
}

/// Returns whether the payload has exactly the length that its content needs, so that it can hide
/// no data.
fn has_exact_length(marker: u8, payload: &[u8]) -> bool {
    match marker {
        0xc4 => are_huffman_tables(payload),
        0xcc => payload.len().is_multiple_of(2),
        0xdb => are_quantization_tables(payload),
        0xdc | 0xdd => payload.len() == 2,
        _ => payload
            .get(5)
            .is_some_and(|count| payload.len() == 6 + 3 * usize::from(*count)),
    }
}

fn are_huffman_tables(payload: &[u8]) -> bool {
    let mut rest = payload;
    while let Some((head, codes)) = rest.split_at_checked(17) {
        let count: usize = head[1..].iter().map(|count| usize::from(*count)).sum();
        match codes.get(count..) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    rest.is_empty()
}

fn are_quantization_tables(payload: &[u8]) -> bool {
    let mut rest = payload;
    while let Some((head, table)) = rest.split_first() {
        let length = if head >> 4 == 0 { 64 } else { 128 };
        match table.get(length..) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    true
}

fn write_segment(bytes: &mut Vec<u8>, marker: u8, payload: &[u8]) -> Result<(), Unreadable> {
    let length = u16::try_from(payload.len() + 2).map_err(|_| Unreadable::Damaged)?;
    bytes.extend([0xff, marker]);
    bytes.extend(length.to_be_bytes());
    bytes.extend_from_slice(payload);
    Ok(())
}
