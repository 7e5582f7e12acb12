//! PNG (third edition), also animated: keeps the chunks that decoding and colours need; drops
//! texts, times, EXIF, private chunks and data after the end.

use super::{Rewritten, orientation_only};
use crate::Unreadable;
use crate::input::{Input, to_usize};
use crate::jpeg::segments::EXIF;
use crate::png::SIGNATURE;

const KEPT_CHUNKS: [&[u8; 4]; 17] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB",
    b"cICP", b"mDCV", b"cLLI", b"bKGD", b"pHYs", b"acTL", b"fcTL",
];

/// Pixels of an animation's frame, which is also kept.
const FRAME_DATA: &[u8; 4] = b"fdAT";

pub(super) fn rewrite(file: &[u8]) -> Result<Rewritten<'_>, Unreadable> {
    let mut input = Input(file);
    if input.array()? != SIGNATURE {
        return Err(Unreadable::Damaged);
    }
    let (mut header, mut exif) = (None, None);
    let mut rest = Vec::with_capacity(file.len());
    loop {
        let length = to_usize(u32::from_be_bytes(input.array()?))?;
        // The chunk with its kind and the checksum of both.
        let (kind, whole) = {
            let mut ahead = input;
            let kind: [u8; 4] = ahead.array()?;
            (
                kind,
                input.take(length.checked_add(8).ok_or(Unreadable::Damaged)?)?,
            )
        };
        let (summed, sum) = whole.split_last_chunk().ok_or(Unreadable::Damaged)?;
        if header.is_none() && kind != *b"IHDR" || header.is_some() && kind == *b"IHDR" {
            return Err(Unreadable::Damaged);
        }
        match &kind {
            b"eXIf" if exif.is_none() => {
                let data = &summed[4..];
                exif = Some(data.strip_prefix(EXIF).unwrap_or(data));
            }
            kind if KEPT_CHUNKS.contains(&kind) || kind == FRAME_DATA => {
                if crc32fast::hash(summed) != u32::from_be_bytes(*sum) {
                    return Err(Unreadable::Damaged);
                }
                match kind {
                    b"IHDR" => header = Some(&summed[4..]),
                    b"IEND" => break,
                    _ => write_chunk(&mut rest, *kind, &summed[4..])?,
                }
            }
            // Without an unknown critical chunk, the picture would be a different one.
            [b'A'..=b'Z', ..] => return Err(Unreadable::Unstrippable),
            _ => {}
        }
    }
    let mut bytes = Vec::with_capacity(rest.len() + 128);
    bytes.extend(SIGNATURE);
    write_chunk(&mut bytes, *b"IHDR", header.ok_or(Unreadable::Damaged)?)?;
    if let Some(only) = exif.and_then(orientation_only) {
        write_chunk(&mut bytes, *b"eXIf", &only)?;
    }
    bytes.append(&mut rest);
    write_chunk(&mut bytes, *b"IEND", b"")?;
    Ok(Rewritten { bytes, exif })
}

fn write_chunk(bytes: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) -> Result<(), Unreadable> {
    bytes.extend(
        u32::try_from(data.len())
            .map_err(|_| Unreadable::Damaged)?
            .to_be_bytes(),
    );
    let summed = bytes.len();
    bytes.extend(kind);
    bytes.extend_from_slice(data);
    let sum = crc32fast::hash(&bytes[summed..]);
    bytes.extend(sum.to_be_bytes());
    Ok(())
}
