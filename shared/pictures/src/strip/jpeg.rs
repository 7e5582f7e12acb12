//! JPEG (ITU-T T.81, JFIF 1.02): the segments that decoding needs, JFIF's density, Adobe's colours and the ICC profile
//! stay. What follows the end of the image, as motion photos and the pictures of a multi-picture file do, goes.

use super::{Rewritten, orientation_only};
use crate::Unreadable;
use crate::input::Input;
use crate::jpeg::segments::{
    APP0, APP1, APP2, APP14, END, EXIF, ICC, SCAN, START, marker, payload,
};

/// Of JFIF's segment what comes before the thumbnail: the name, the version and the density.
const JFIF: usize = 12;

/// Of Adobe's segment: the name, the version, flags, and which colours they are.
const ADOBE: usize = 12;

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
                check(
                    payload
                        .first()
                        .is_some_and(|count| payload.len() == 4 + 2 * usize::from(*count)),
                )?;
                write(&mut rest, marker, payload)?;
                rest.extend_from_slice(scan(&mut input)?);
            }
            _ if is_of_decoding(marker) => {
                check(is_exact(marker, payload))?;
                write(&mut rest, marker, payload)?;
            }
            APP0 if payload.starts_with(b"JFIF\0") && jfif.is_none() => {
                jfif = Some(payload.get(..JFIF).ok_or(Unreadable::Damaged)?);
            }
            // Of several the last one counts, as it does where the picture is shown.
            APP1 if payload.starts_with(EXIF) => exif = payload.strip_prefix(EXIF),
            APP2 if payload.starts_with(ICC) => write(&mut rest, marker, payload)?,
            APP14 if payload.starts_with(b"Adobe") => {
                write(
                    &mut rest,
                    marker,
                    payload.get(..ADOBE).ok_or(Unreadable::Damaged)?,
                )?;
            }
            // Applications' segments, and the comment.
            0xe0..=0xef | 0xfe => {}
            // Pictures in layers, and what nobody has defined.
            _ => return Err(Unreadable::Unstrippable),
        }
    }
    check(has_scan)?;
    let mut bytes = Vec::with_capacity(rest.len() + 64);
    bytes.extend([0xff, START]);
    if let Some(jfif) = jfif {
        write(&mut bytes, APP0, &[jfif, &[0, 0]].concat())?;
    }
    if let Some(only) = exif.and_then(orientation_only) {
        write(&mut bytes, APP1, &[EXIF, &only].concat())?;
    }
    bytes.append(&mut rest);
    bytes.extend([0xff, END]);
    Ok(Rewritten { bytes, exif })
}

fn check(fits: bool) -> Result<(), Unreadable> {
    if fits {
        Ok(())
    } else {
        Err(Unreadable::Damaged)
    }
}

/// The bytes of a scan: up to the next marker that is neither a stuffed `ff` nor a restart.
fn scan<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Unreadable> {
    let bytes = input.0;
    let mut from = 0;
    loop {
        let found = bytes[from..]
            .iter()
            .position(|byte| *byte == 0xff)
            .ok_or(Unreadable::CutOff)?
            + from;
        match bytes.get(found + 1).ok_or(Unreadable::CutOff)? {
            0 | 0xd0..=0xd7 => from = found + 2,
            _ => return input.take(found),
        }
    }
}

/// Frame headers, tables, the restart interval, the number of lines.
fn is_of_decoding(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xc7 | 0xc9..=0xcf | 0xdb..=0xdd)
}

/// Nothing is hidden behind what the segment has to say.
fn is_exact(marker: u8, payload: &[u8]) -> bool {
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

fn write(bytes: &mut Vec<u8>, marker: u8, payload: &[u8]) -> Result<(), Unreadable> {
    let length = u16::try_from(payload.len() + 2).map_err(|_| Unreadable::Damaged)?;
    bytes.extend([0xff, marker]);
    bytes.extend(length.to_be_bytes());
    bytes.extend_from_slice(payload);
    Ok(())
}
