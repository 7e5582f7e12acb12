//! BMP: keeps the headers, the palette, the pixels and an embedded ICC profile; drops gaps, data
//! after the pixels, and the file name of a linked profile.

use super::Rewritten;
use crate::Unreadable;
use crate::input::{Input, to_usize};

/// Bytes of the file header.
const FILE_HEADER_BYTES: usize = 14;

/// Bytes of the picture headers: OS/2's first, then Windows' headers, each of which extends the
/// previous one.
const CORE_HEADER_BYTES: usize = 12;
const INFO_HEADER_BYTES: usize = 40;
const V4_HEADER_BYTES: usize = 108;
const V5_HEADER_BYTES: usize = 124;

/// Compressions of pixels.
const UNCOMPRESSED: u32 = 0;
const RUN_LENGTHS: [u32; 2] = [1, 2];
const BIT_FIELDS: u32 = 3;
const ALPHA_BIT_FIELDS: u32 = 6;

/// Offsets in a version 5 header of the colour space and of the profile's location, and the values
/// of the colour space.
const COLOUR_SPACE_OFFSET: usize = 56;
const PROFILE_OFFSET: usize = 112;
const EMBEDDED: &[u8] = b"DEBM";
const LINKED: &[u8] = b"KNIL";
const SRGB: &[u8] = b"BGRs";

/// The fields of a picture's header.
struct Header {
    width: u64,
    height: u64,
    bits: u64,
    compression: u32,
    /// Bytes of the pixels, or 0 if not given.
    pixels: usize,
    colours: u64,
}

pub(super) fn rewrite(file: &[u8]) -> Result<Rewritten<'_>, Unreadable> {
    let mut input = Input(file);
    let file_header: [u8; FILE_HEADER_BYTES] = input.array()?;
    let offset = to_usize(u32::from_le_bytes([
        file_header[10],
        file_header[11],
        file_header[12],
        file_header[13],
    ]))?;
    let length = to_usize(u32::from_le_bytes(Input(input.0).array()?))?;
    if ![
        CORE_HEADER_BYTES,
        INFO_HEADER_BYTES,
        52,
        56,
        V4_HEADER_BYTES,
        V5_HEADER_BYTES,
    ]
    .contains(&length)
    {
        return Err(Unreadable::Unstrippable);
    }
    let mut picture = input.take(length)?.to_vec();
    let header = parse_header(&picture)?;
    let masks = match (length, header.compression) {
        (INFO_HEADER_BYTES, BIT_FIELDS) => 12,
        (INFO_HEADER_BYTES, ALPHA_BIT_FIELDS) => 16,
        _ => 0,
    };
    let colour = if length == CORE_HEADER_BYTES { 3 } else { 4 };
    let colours = usize::try_from(header.colours).map_err(|_| Unreadable::Damaged)?;
    let between = input.take(colours.checked_mul(colour).ok_or(Unreadable::Damaged)? + masks)?;
    let pixels_offset = FILE_HEADER_BYTES + length + between.len();
    let end = offset
        .checked_add(pixel_bytes(&header)?)
        .filter(|_| offset >= pixels_offset);
    let pixels = file
        .get(offset..end.ok_or(Unreadable::Damaged)?)
        .ok_or(Unreadable::CutOff)?;
    let profile = if length == V5_HEADER_BYTES {
        relocate_profile(file, &mut picture, pixels_offset + pixels.len())?
    } else {
        &[]
    };
    let file_length = pixels_offset + pixels.len() + profile.len();
    let number = |length: usize| u32::try_from(length).map_err(|_| Unreadable::Damaged);
    let mut bytes = Vec::with_capacity(file_length);
    bytes.extend(b"BM");
    bytes.extend(number(file_length)?.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(number(pixels_offset)?.to_le_bytes());
    for part in [&picture, between, pixels, profile] {
        bytes.extend_from_slice(part);
    }
    Ok(Rewritten { bytes, exif: None })
}

fn parse_header(picture: &[u8]) -> Result<Header, Unreadable> {
    let mut input = Input(picture);
    input.take(4)?;
    if picture.len() == CORE_HEADER_BYTES {
        let [width, height, _, bits] = [(); 4].map(|()| input.array().map(u16::from_le_bytes));
        let (width, height, bits) = (width?, height?, bits?);
        let colours = if bits <= 8 { 1 << bits } else { 0 };
        let (width, height, bits) = (width.into(), height.into(), bits.into());
        return Ok(Header {
            width,
            height,
            bits,
            compression: UNCOMPRESSED,
            pixels: 0,
            colours,
        });
    }
    let (width, height) = (
        i32::from_le_bytes(input.array()?),
        i32::from_le_bytes(input.array()?),
    );
    input.take(2)?;
    let bits = u16::from_le_bytes(input.array()?);
    let [compression, pixels, _, _, used] = [(); 5].map(|()| input.array().map(u32::from_le_bytes));
    let used: u64 = used?.into();
    let colours = match bits {
        1..=8 if used == 0 => 1 << bits,
        _ => used,
    };
    Ok(Header {
        width: u64::try_from(width).map_err(|_| Unreadable::Damaged)?,
        height: height.unsigned_abs().into(),
        bits: bits.into(),
        compression: compression?,
        pixels: to_usize(pixels?)?,
        colours,
    })
}

fn pixel_bytes(header: &Header) -> Result<usize, Unreadable> {
    match header.compression {
        UNCOMPRESSED | BIT_FIELDS | ALPHA_BIT_FIELDS if header.bits > 0 => {
            // Lines are padded to four bytes. The product fits, because each factor has at most 32
            // bits.
            let line = (header.width * header.bits).div_ceil(32).checked_mul(4);
            let size = line
                .and_then(|line| line.checked_mul(header.height))
                .ok_or(Unreadable::Damaged)?;
            usize::try_from(size).map_err(|_| Unreadable::Damaged)
        }
        compression if RUN_LENGTHS.contains(&compression) && header.pixels > 0 => Ok(header.pixels),
        // An embedded JPEG or PNG.
        _ => Err(Unreadable::Unstrippable),
    }
}

/// Returns the embedded profile, and writes its new location into the header. Removes the file name
/// of a linked profile from the header.
fn relocate_profile<'a>(
    file: &'a [u8],
    picture: &mut [u8],
    new_offset: usize,
) -> Result<&'a [u8], Unreadable> {
    let (kind, location) = (
        COLOUR_SPACE_OFFSET..COLOUR_SPACE_OFFSET + 4,
        PROFILE_OFFSET..PROFILE_OFFSET + 8,
    );
    if picture[kind.clone()] != *EMBEDDED {
        if picture[kind.clone()] == *LINKED {
            picture[kind].copy_from_slice(SRGB);
        }
        picture[location].fill(0);
        return Ok(&[]);
    }
    let mut input = Input(&picture[location.clone()]);
    let (at, size) = (
        u32::from_le_bytes(input.array()?),
        u32::from_le_bytes(input.array()?),
    );
    let at = FILE_HEADER_BYTES
        .checked_add(to_usize(at)?)
        .ok_or(Unreadable::Damaged)?;
    let end = at.checked_add(to_usize(size)?).ok_or(Unreadable::Damaged)?;
    let profile = file.get(at..end).ok_or(Unreadable::CutOff)?;
    let at = u32::try_from(new_offset - FILE_HEADER_BYTES).map_err(|_| Unreadable::Damaged)?;
    picture[location][..4].copy_from_slice(&at.to_le_bytes());
    Ok(profile)
}
