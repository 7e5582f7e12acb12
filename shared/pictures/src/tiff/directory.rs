//! The first directory of a TIFF file, as far as it must be known before `tiff` reads the file.

use crate::input::Input;
use crate::{Feature, Unreadable};

const IMAGE_LENGTH: u16 = 257;
const COMPRESSION: u16 = 259;
const INTERPRETATION: u16 = 262;
const ROWS_PER_STRIP: u16 = 278;
const PREDICTOR: u16 = 317;

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
    /// Where its value is.
    at: u64,
    value: [u8; 4],
}

/// Reads the directory. With the patches every picture is a grey one, so that the decoder returns all samples of a pixel as
/// they are: it applies predictors wrongly once it drops samples. A predictor of another compression is ignored, as libtiff
/// does. A strip is no higher than the picture, since the decoder allocates all of its rows.
pub(super) fn read(file: &[u8]) -> Result<Directory, Unreadable> {
    let is_big_endian = file.starts_with(b"MM");
    let short = |bytes| if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    let long = |bytes| if is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    let longer = |bytes| if is_big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) };
    let mut input = Input(file);
    input.take(2)?;
    // BigTIFF, whose counts and places have 64 bits.
    let is_big = short(input.array()?) == 43;
    let wide = |input: &mut Input<'_>| -> Result<u64, Unreadable> {
        Ok(if is_big { longer(input.array()?) } else { long(input.array()?).into() })
    };
    if is_big {
        input.take(4)?;
    }
    let begin = usize::try_from(wide(&mut input)?).map_err(|_| Unreadable::Damaged)?;
    let mut input = Input(file.get(begin..).ok_or(Unreadable::CutOff)?);
    let count = if is_big { longer(input.array()?) } else { short(input.array()?).into() };
    let mut fields = Vec::new();
    for _ in 0..count {
        let (tag, kind) = (short(input.array()?), short(input.array()?));
        wide(&mut input)?;
        let at = u64::try_from(file.len() - input.0.len()).unwrap_or(u64::MAX);
        fields.push(Field { tag, kind, at, value: input.array()? });
        input.take(if is_big { 4 } else { 0 })?;
    }
    let find = |tag| fields.iter().find(|field| field.tag == tag);
    let number = |field: &Field| match field.kind {
        SHORT => short([field.value[0], field.value[1]]).into(),
        _ => long(field.value),
    };
    let encode = |field: &Field, number: u32| match (field.kind, is_big_endian) {
        (SHORT, true) => number << 16,
        _ => number,
    };
    let patch = |field: &Field, number: u32| {
        let number = encode(field, number);
        let bytes = if is_big_endian { number.to_be_bytes() } else { number.to_le_bytes() };
        Patch { at: field.at, bytes }
    };
    let numeric = |tag| find(tag).filter(|field| matches!(field.kind, SHORT | LONG));
    let field = numeric(INTERPRETATION).ok_or(Unreadable::Unsupported(Feature::TiffColours))?;
    let interpretation = number(field).try_into().map_err(|_| Unreadable::Damaged)?;
    let mut patches = vec![patch(field, 1)];
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
    Ok(Directory { interpretation, patches })
}
