//! BMP: the headers, the colours, the pixels and an embedded ICC profile stay; gaps, what follows the pixels, and the
//! name of a profile's file go.

use super::Rewritten;
use crate::Unreadable;
use crate::input::{Input, place};

/// The file's header.
const FILE: usize = 14;

/// Headers of a picture by their lengths: OS/2's first, and Windows' with what each has more.
const CORE: usize = 12;
const INFO: usize = 40;
const V4: usize = 108;
const V5: usize = 124;

/// How pixels are written.
const PLAIN: u32 = 0;
const RUNS: [u32; 2] = [1, 2];
const MASKS: u32 = 3;
const ALPHA_MASKS: u32 = 6;

/// Where a fifth header says which colours they are, and where its profile is.
const COLOURS: usize = 56;
const PROFILE: usize = 112;
const EMBEDDED: &[u8] = b"DEBM";
const LINKED: &[u8] = b"KNIL";
const SRGB: &[u8] = b"BGRs";

/// What a picture's header says.
struct Header {
    width: u64,
    height: u64,
    bits: u64,
    compression: u32,
    /// Bytes of pixels, where it is told.
    pixels: usize,
    colours: u64,
}

pub(super) fn rewrite(file: &[u8]) -> Result<Rewritten<'_>, Unreadable> {
    let mut input = Input(file);
    let file_header: [u8; FILE] = input.array()?;
    let offset = place(u32::from_le_bytes([
        file_header[10],
        file_header[11],
        file_header[12],
        file_header[13],
    ]))?;
    let length = place(u32::from_le_bytes(Input(input.0).array()?))?;
    if ![CORE, INFO, 52, 56, V4, V5].contains(&length) {
        return Err(Unreadable::Unstrippable);
    }
    let mut picture = input.take(length)?.to_vec();
    let header = header(&picture)?;
    let masks = match (length, header.compression) {
        (INFO, MASKS) => 12,
        (INFO, ALPHA_MASKS) => 16,
        _ => 0,
    };
    let colour = if length == CORE { 3 } else { 4 };
    let colours = usize::try_from(header.colours).map_err(|_| Unreadable::Damaged)?;
    let between = input.take(colours.checked_mul(colour).ok_or(Unreadable::Damaged)? + masks)?;
    let begins = FILE + length + between.len();
    let end = offset
        .checked_add(size_of_pixels(&header)?)
        .filter(|_| offset >= begins);
    let pixels = file
        .get(offset..end.ok_or(Unreadable::Damaged)?)
        .ok_or(Unreadable::CutOff)?;
    let profile = if length == V5 {
        profile(file, &mut picture, begins + pixels.len())?
    } else {
        &[]
    };
    let whole = begins + pixels.len() + profile.len();
    let number = |place: usize| u32::try_from(place).map_err(|_| Unreadable::Damaged);
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend(b"BM");
    bytes.extend(number(whole)?.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(number(begins)?.to_le_bytes());
    for part in [&picture, between, pixels, profile] {
        bytes.extend_from_slice(part);
    }
    Ok(Rewritten { bytes, exif: None })
}

fn header(picture: &[u8]) -> Result<Header, Unreadable> {
    let mut input = Input(picture);
    input.take(4)?;
    if picture.len() == CORE {
        let [width, height, _, bits] = [(); 4].map(|()| input.array().map(u16::from_le_bytes));
        let (width, height, bits) = (width?, height?, bits?);
        let colours = if bits <= 8 { 1 << bits } else { 0 };
        let (width, height, bits) = (width.into(), height.into(), bits.into());
        return Ok(Header {
            width,
            height,
            bits,
            compression: PLAIN,
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
        pixels: place(pixels?)?,
        colours,
    })
}

fn size_of_pixels(header: &Header) -> Result<usize, Unreadable> {
    match header.compression {
        PLAIN | MASKS | ALPHA_MASKS if header.bits > 0 => {
            // Lines are padded to four bytes. No factor has more than 32 bits.
            let line = (header.width * header.bits).div_ceil(32).checked_mul(4);
            let size = line
                .and_then(|line| line.checked_mul(header.height))
                .ok_or(Unreadable::Damaged)?;
            usize::try_from(size).map_err(|_| Unreadable::Damaged)
        }
        compression if RUNS.contains(&compression) && header.pixels > 0 => Ok(header.pixels),
        // A JPEG or a PNG in it.
        _ => Err(Unreadable::Unstrippable),
    }
}

/// The profile that is embedded, which will be at this place. A name of a file is taken out of the header.
fn profile<'a>(
    file: &'a [u8],
    picture: &mut [u8],
    will_be_at: usize,
) -> Result<&'a [u8], Unreadable> {
    let (kind, place_of) = (COLOURS..COLOURS + 4, PROFILE..PROFILE + 8);
    if picture[kind.clone()] != *EMBEDDED {
        if picture[kind.clone()] == *LINKED {
            picture[kind].copy_from_slice(SRGB);
        }
        picture[place_of].fill(0);
        return Ok(&[]);
    }
    let mut input = Input(&picture[place_of.clone()]);
    let (at, size) = (
        u32::from_le_bytes(input.array()?),
        u32::from_le_bytes(input.array()?),
    );
    let at = FILE.checked_add(place(at)?).ok_or(Unreadable::Damaged)?;
    let end = at.checked_add(place(size)?).ok_or(Unreadable::Damaged)?;
    let profile = file.get(at..end).ok_or(Unreadable::CutOff)?;
    let at = u32::try_from(will_be_at - FILE).map_err(|_| Unreadable::Damaged)?;
    picture[place_of][..4].copy_from_slice(&at.to_le_bytes());
    Ok(profile)
}
