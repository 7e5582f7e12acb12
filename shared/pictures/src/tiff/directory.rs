//! The first directory of a TIFF file, as far as it must be known before `tiff` reads the file.

use crate::input::Input;
use crate::{Feature, Unreadable};

const IMAGE_LENGTH: u16 = 257;
const COMPRESSION: u16 = 259;
const INTERPRETATION: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTE_COUNTS: u16 = 279;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;

/// The compressions that a predictor belongs to: LZW, and Deflate by both of its numbers.
const PREDICTED: [u32; 3] = [5, 8, 32946];

const SHORT: u16 = 3;
const LONG: u16 = 4;

/// Bytes that the decoder reads instead of those of the file.
pub(super) struct Patch {
    pub(super) at: u64,
    pub(super) bytes: [u8; 4],
}

/// What the directory says of the pixels, and what of it the decoder must not see.
pub(super) struct Directory {
    /// The photometric interpretation (TIFF 6.0, section 8).
    pub(super) interpretation: u16,
    pub(super) patches: Vec<Patch>,
}

struct Field {
    tag: u16,
    kind: u16,
    /// Values of its kind.
    count: u64,
    /// Where the field begins, and where its value is.
    begin: u64,
    at: u64,
    value: [u8; 4],
}

/// Reads the directory. With the patches every picture is a grey one, so that the decoder returns all samples of a pixel as
/// they are: it applies predictors wrongly once it drops samples. As with libtiff, a predictor of another compression is
/// ignored, tiles may be listed as strips, and the only strip may have no length. A strip is no higher than the picture, since
/// the decoder allocates all of its rows. There are no further pages: the list of them may be a circle.
pub(super) fn read(file: &[u8]) -> Result<Directory, Unreadable> {
    let is_big_endian = file.starts_with(b"MM");
    let short = |bytes| {
        if is_big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    };
    let long = |bytes| {
        if is_big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    };
    let longer = |bytes| {
        if is_big_endian {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        }
    };
    let mut input = Input(file);
    input.take(2)?;
    // BigTIFF, whose counts and places have 64 bits.
    let is_big = short(input.array()?) == 43;
    let wide = |input: &mut Input<'_>| -> Result<u64, Unreadable> {
        Ok(if is_big {
            longer(input.array()?)
        } else {
            long(input.array()?).into()
        })
    };
    if is_big {
        input.take(4)?;
    }
    let begin = usize::try_from(wide(&mut input)?).map_err(|_| Unreadable::Damaged)?;
    let mut input = Input(file.get(begin..).ok_or(Unreadable::CutOff)?);
    let count = if is_big {
        longer(input.array()?)
    } else {
        short(input.array()?).into()
    };
    let place = |input: &Input<'_>| u64::try_from(file.len() - input.0.len()).unwrap_or(u64::MAX);
    let mut fields = Vec::new();
    for _ in 0..count {
        let begin = place(&input);
        let (tag, kind) = (short(input.array()?), short(input.array()?));
        let count = wide(&mut input)?;
        let at = place(&input);
        fields.push(Field {
            tag,
            kind,
            count,
            begin,
            at,
            value: input.array()?,
        });
        input.take(if is_big { 4 } else { 0 })?;
    }
    let next_page = place(&input);
    let find = |tag| fields.iter().find(|field| field.tag == tag);
    let number = |field: &Field| match field.kind {
        SHORT => short([field.value[0], field.value[1]]).into(),
        _ => long(field.value),
    };
    let encode = |field: &Field, number: u32| match (field.kind, is_big_endian) {
        (SHORT, true) => number << 16,
        _ => number,
    };
    let encode_tag = |tag: u16, kind: u16| {
        let bytes = |number: u16| {
            if is_big_endian {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            }
        };
        let ([first, second], [third, fourth]) = (bytes(tag), bytes(kind));
        [first, second, third, fourth]
    };
    let patch = |field: &Field, number: u32| {
        let number = encode(field, number);
        let bytes = if is_big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        };
        Patch {
            at: field.at,
            bytes,
        }
    };
    let numeric = |tag| find(tag).filter(|field| matches!(field.kind, SHORT | LONG));
    let field = numeric(INTERPRETATION).ok_or(Unreadable::Unsupported(Feature::TiffColours))?;
    let interpretation = number(field).try_into().map_err(|_| Unreadable::Damaged)?;
    let mut patches = vec![patch(field, 1)];
    // The place of the next page, of 4 bytes or 8.
    patches.extend(
        [0, 4]
            .into_iter()
            .take(if is_big { 2 } else { 1 })
            .map(|half| Patch {
                at: next_page + half,
                bytes: [0; 4],
            }),
    );
    if find(TILE_WIDTH).is_some() && find(TILE_OFFSETS).is_none() {
        for (strip, tile) in [
            (STRIP_OFFSETS, TILE_OFFSETS),
            (STRIP_BYTE_COUNTS, TILE_BYTE_COUNTS),
        ] {
            patches.extend(find(strip).map(|field| Patch {
                at: field.begin,
                bytes: encode_tag(tile, field.kind),
            }));
        }
    }
    if let (Some(offset), Some(length)) = (numeric(STRIP_OFFSETS), numeric(STRIP_BYTE_COUNTS))
        && (offset.count, length.count, length.kind, number(length)) == (1, 1, LONG, 0)
    {
        let rest = file
            .len()
            .saturating_sub(usize::try_from(number(offset)).unwrap_or(usize::MAX));
        patches.push(patch(length, u32::try_from(rest).unwrap_or(u32::MAX)));
    }
    if let (Some(rows), Some(height)) = (numeric(ROWS_PER_STRIP), numeric(IMAGE_LENGTH))
        && rows.kind == LONG
        && number(rows) > number(height)
    {
        patches.push(patch(rows, number(height)));
    }
    let compression = numeric(COMPRESSION).map_or(1, number);
    if let Some(predictor) = numeric(PREDICTOR)
        && !PREDICTED.contains(&compression)
    {
        patches.push(patch(predictor, 1));
    }
    Ok(Directory {
        interpretation,
        patches,
    })
}
