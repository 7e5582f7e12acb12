//! WebP (RFC 9649): the chunks of pixels, transparency, animation and the ICC profile stay, within frames, too.

use super::{Rewritten, orientation_only};
use crate::Unreadable;
use crate::input::{Input, place};
use crate::jpeg::segments::EXIF;

/// Bits of the extended header's first byte that say what else there is.
const HAS_EXIF: u8 = 0b0000_1000;
const HAS_XMP: u8 = 0b0000_0100;
const KNOWN: u8 = 0b0011_1110;

/// Of an animation's frame what comes before its chunks.
const FRAME: usize = 16;

pub(super) fn rewrite(file: &[u8]) -> Result<Rewritten<'_>, Unreadable> {
    let mut input = Input(file);
    input.take(4)?;
    let mut body = Input(input.take(4)?);
    let length = place(u32::from_le_bytes(body.array()?))?;
    let mut body = Input(input.take(length)?);
    body.take(4)?;
    let mut bytes = Vec::with_capacity(file.len());
    bytes.extend_from_slice(b"RIFF\0\0\0\0WEBP");
    let (mut exif, mut flags, mut has_pixels) = (None, None, false);
    let mut is_first = true;
    while !body.is_empty() {
        let (kind, data) = chunk(&mut body)?;
        match &kind {
            b"VP8X" if is_first => {
                let (head, canvas) = data.split_first_chunk::<4>().ok_or(Unreadable::Damaged)?;
                if canvas.len() != 6 {
                    return Err(Unreadable::Damaged);
                }
                let head = [head[0] & KNOWN & !(HAS_EXIF | HAS_XMP), 0, 0, 0];
                write(&mut bytes, kind, &[&head, canvas].concat())?;
                flags = Some(bytes.len() - 10);
            }
            b"VP8 " | b"VP8L" => {
                has_pixels = true;
                write(&mut bytes, kind, data)?;
            }
            b"ANMF" => {
                has_pixels = true;
                write(&mut bytes, kind, &frame(data)?)?;
            }
            b"ALPH" | b"ANIM" | b"ICCP" => write(&mut bytes, kind, data)?,
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
        write(&mut bytes, *b"EXIF", &only)?;
    }
    let length = u32::try_from(bytes.len() - 8).map_err(|_| Unreadable::Damaged)?;
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(Rewritten { bytes, exif })
}

fn chunk<'a>(input: &mut Input<'a>) -> Result<([u8; 4], &'a [u8]), Unreadable> {
    let kind = input.array()?;
    let length = place(u32::from_le_bytes(input.array()?))?;
    let data = input.take(length)?;
    if !length.is_multiple_of(2) {
        input.take(1)?;
    }
    Ok((kind, data))
}

/// One of an animation, with nothing in it but pixels.
fn frame(data: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut input = Input(data);
    let mut bytes = input.take(FRAME)?.to_vec();
    while !input.is_empty() {
        let (kind, data) = chunk(&mut input)?;
        if matches!(&kind, b"ALPH" | b"VP8 " | b"VP8L") {
            write(&mut bytes, kind, data)?;
        }
    }
    Ok(bytes)
}

fn write(bytes: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) -> Result<(), Unreadable> {
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
