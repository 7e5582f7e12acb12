//! WebP (RFC 9649): keeps the chunks of pixels, transparency, animation and the ICC profile, also
//! within frames.

use super::{Rewritten, orientation_only};
use crate::Unreadable;
use crate::input::{Input, to_usize};
use crate::jpeg::segments::EXIF;

/// Bits of the extended header's flags.
const HAS_EXIF: u8 = 0b0000_1000;
const HAS_XMP: u8 = 0b0000_0100;
const KNOWN_FLAGS: u8 = 0b0011_1110;

/// Bytes of an animation's frame before its chunks.
const FRAME_HEADER_BYTES: usize = 16;

pub(super) fn rewrite(file: &[u8]) -> Result<Rewritten<'_>, Unreadable> {
    let mut input = Input(file);
    input.take(4)?;
    let mut body = Input(input.take(4)?);
    let length = to_usize(u32::from_le_bytes(body.array()?))?;
    let mut body = Input(input.take(length)?);
    body.take(4)?;
    let mut bytes = Vec::with_capacity(file.len());
    bytes.extend_from_slice(b"RIFF\0\0\0\0WEBP");
    let (mut exif, mut flags, mut has_pixels) = (None, None, false);
    let mut is_first = true;
    while !body.is_empty() {
        let (kind, data) = read_chunk(&mut body)?;
        match &kind {
            b"VP8X" if is_first => {
                let (head, canvas) = data.split_first_chunk::<4>().ok_or(Unreadable::Damaged)?;
                if canvas.len() != 6 {
                    return Err(Unreadable::Damaged);
                }
                let head = [head[0] & KNOWN_FLAGS & !(HAS_EXIF | HAS_XMP), 0, 0, 0];
                write_chunk(&mut bytes, kind, &[&head, canvas].concat())?;
                flags = Some(bytes.len() - 10);
            }
            b"VP8 " | b"VP8L" => {
                has_pixels = true;
                write_chunk(&mut bytes, kind, data)?;
            }
            b"ANMF" => {
                has_pixels = true;
                write_chunk(&mut bytes, kind, &strip_frame(data)?)?;
            }
            b"ALPH" | b"ANIM" | b"ICCP" => write_chunk(&mut bytes, kind, data)?,
            b"EXIF" if exif.is_none() && flags.is_some() => {
                exif = Some(data.strip_prefix(EXIF).unwrap_or(data));
            }
            _ => {}
        }
        is_first = false;
    }
    if !has_pixels {
        return Err(Unreadable::Damaged);
    }
    if let (Some(at), Some(only)) = (flags, exif.and_then(orientation_only)) {
        bytes[at] |= HAS_EXIF;
        write_chunk(&mut bytes, *b"EXIF", &only)?;
    }
    let length = u32::try_from(bytes.len() - 8).map_err(|_| Unreadable::Damaged)?;
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(Rewritten { bytes, exif })
}

fn read_chunk<'a>(input: &mut Input<'a>) -> Result<([u8; 4], &'a [u8]), Unreadable> {
    let kind = input.array()?;
    let length = to_usize(u32::from_le_bytes(input.array()?))?;
    let data = input.take(length)?;
    if !length.is_multiple_of(2) {
        input.take(1)?;
    }
    Ok((kind, data))
}

/// Returns a frame of an animation with only its pixels.
fn strip_frame(data: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut input = Input(data);
    let mut bytes = input.take(FRAME_HEADER_BYTES)?.to_vec();
    while !input.is_empty() {
        let (kind, data) = read_chunk(&mut input)?;
        if matches!(&kind, b"ALPH" | b"VP8 " | b"VP8L") {
            write_chunk(&mut bytes, kind, data)?;
        }
    }
    Ok(bytes)
}

fn write_chunk(bytes: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) -> Result<(), Unreadable> {
    bytes.extend(kind);
    bytes.extend(
        u32::try_from(data.len())
            .map_err(|_| Unreadable::Damaged)?
            .to_le_bytes(),
    );
    bytes.extend_from_slice(data);
    if !data.len().is_multiple_of(2) {
        bytes.push(0);
    }
    Ok(())
}
