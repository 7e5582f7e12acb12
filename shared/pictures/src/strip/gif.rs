//! GIF (87a and 89a): keeps pictures, their palettes and delays, the repeat count and the ICC
//! profile; drops comments, plain texts and all other application blocks.

use super::Rewritten;
use crate::Unreadable;
use crate::input::Input;

const PICTURE: u8 = 0x2c;
const EXTENSION: u8 = 0x21;
const TRAILER: u8 = 0x3b;

const CONTROL: u8 = 0xf9;
const PLAIN_TEXT: u8 = 0x01;
const APPLICATION: u8 = 0xff;

pub(super) fn rewrite(file: &[u8]) -> Result<Rewritten<'_>, Unreadable> {
    let mut input = Input(file);
    let screen = input.take(13)?;
    if !matches!(&screen[..6], b"GIF87a" | b"GIF89a") {
        return Err(Unreadable::Damaged);
    }
    let mut bytes = Vec::with_capacity(file.len());
    bytes.extend_from_slice(screen);
    bytes.extend_from_slice(input.take(colour_table_bytes(screen[10]))?);
    // Applies to the next block, and is kept or dropped with it.
    let mut control: Option<[u8; 8]> = None;
    let mut has_picture = false;
    loop {
        match input.byte()? {
            TRAILER => break,
            PICTURE => {
                has_picture = true;
                if let Some(control) = control.take() {
                    bytes.extend(control);
                }
                let descriptor = input.take(9)?;
                bytes.push(PICTURE);
                bytes.extend_from_slice(descriptor);
                bytes.extend_from_slice(input.take(colour_table_bytes(descriptor[8]))?);
                // The code size and the blocks of pixels.
                bytes.push(input.byte()?);
                bytes.extend_from_slice(read_blocks(&mut input)?);
            }
            EXTENSION => match input.byte()? {
                CONTROL => {
                    let [length, packed, low, high, transparent, end] = input.array()?;
                    if (length, end) != (4, 0) {
                        return Err(Unreadable::Damaged);
                    }
                    control = Some([EXTENSION, CONTROL, 4, packed, low, high, transparent, 0]);
                }
                APPLICATION => {
                    let whole = read_blocks(&mut input)?;
                    if is_kept(whole) {
                        bytes.extend([EXTENSION, APPLICATION]);
                        bytes.extend_from_slice(whole);
                    }
                }
                kind => {
                    read_blocks(&mut input)?;
                    if kind == PLAIN_TEXT {
                        control = None;
                    }
                }
            },
            _ => return Err(Unreadable::Damaged),
        }
    }
    if !has_picture {
        return Err(Unreadable::Damaged);
    }
    bytes.push(TRAILER);
    Ok(Rewritten { bytes, exif: None })
}

/// Returns the bytes of the colour table that these flags announce.
fn colour_table_bytes(packed: u8) -> usize {
    if packed & 0x80 == 0 {
        0
    } else {
        3 << ((packed & 7) + 1)
    }
}

/// Reads blocks, each after its length, up to and including the empty one.
fn read_blocks<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Unreadable> {
    let whole = input.0;
    loop {
        let length = input.byte()?;
        if length == 0 {
            return Ok(&whole[..whole.len() - input.0.len()]);
        }
        input.take(length.into())?;
    }
}

/// Returns whether an application block is kept: the repeat count in its one valid form, or the ICC
/// profile.
fn is_kept(blocks: &[u8]) -> bool {
    matches!(
        blocks.split_first_chunk::<12>(),
        Some((b"\x0bNETSCAPE2.0" | b"\x0bANIMEXTS1.0", [3, 1, _, _, 0]) | (b"\x0bICCRGBG1012", _))
    )
}
