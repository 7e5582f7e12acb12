//! TIFF 6.0: writes a new file with the fields that decoding and colours need, and the strips or
//! tiles that they point to. Does not copy directories of EXIF and GPS, XMP, IPTC, other fields,
//! previews and unreferenced data. Rejects camera raw files, which are TIFF files that need private
//! directories.

use super::Rewritten;
use crate::Unreadable;
use crate::input::{Input, to_usize};

/// Maximum number of directories.
const MAX_PAGES: usize = 1_000;

/// Bytes by which alignment may make the new file longer than the old one.
const ALIGNMENT_SLACK_BYTES: usize = 4 * 1024;

const NEW_SUBFILE_TYPE: u16 = 254;
const COMPRESSION: u16 = 259;
const STRIPS: (u16, u16) = (273, 279);
const TILES: (u16, u16) = (324, 325);

/// Fields that are copied unchanged: the kind and encoding of pixels (254 to 341), the definition
/// of colours (529 to 532), and the ICC profile.
const KEPT_FIELDS: [u16; 42] = [
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 274, 277, 278, 279, 280, 281, 282, 283,
    284, 290, 291, 292, 293, 296, 297, 301, 317, 318, 319, 320, 322, 323, 325, 332, 334, 336, 338,
    339, 340, 341, 34675,
];
const KEPT_COLOUR_FIELDS: std::ops::RangeInclusive<u16> = 529..=532;

/// Fields of files that are rejected: subdirectories of a page, JPEG tables, and the marks of
/// camera raw files.
const REJECTED_FIELDS: [u16; 4] = [330, 347, 50706, 50740];
const OLD_JPEG_FIELDS: std::ops::RangeInclusive<u16> = 512..=521;

/// Supported compressions, whose data contains only pixels: none, the three of fax, LZW, both
/// numbers of Deflate, PackBits.
const COMPRESSIONS: [u32; 8] = [1, 2, 3, 4, 5, 8, 32773, 32946];

const SHORT: u16 = 3;
const LONG: u16 = 4;

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn short(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    fn long(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    fn short_bytes(self, number: u16) -> [u8; 2] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    fn long_bytes(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }
}

/// A field of the old file.
struct Field<'a> {
    tag: u16,
    kind: u16,
    count: u32,
    value: &'a [u8],
}

/// The copied part of a page.
struct Page<'a> {
    fields: Vec<Field<'a>>,
    /// The field that points to the pixels.
    offsets_tag: u16,
    pixels: Vec<&'a [u8]>,
}

pub(super) fn rewrite(file: &[u8]) -> Result<Rewritten<'_>, Unreadable> {
    let order = if file[0] == b'I' {
        Order::Little
    } else {
        Order::Big
    };
    let mut input = Input(file);
    let mut bytes = input.take(4)?.to_vec();
    bytes.reserve(file.len());
    let mut next = order.long(input.array()?);
    bytes.extend([0; 4]);
    // Position at which the offset of the next directory is written.
    let mut link = 4;
    let (mut page_count, mut is_first) = (0, true);
    while next != 0 {
        page_count += 1;
        if page_count > MAX_PAGES {
            return Err(Unreadable::Damaged);
        }
        let (fields, following) = read_directory(file, order, next)?;
        next = following;
        // A smaller copy of another page: a preview, perhaps of a part that was cropped.
        if !is_first && number(&fields, NEW_SUBFILE_TYPE, order).is_some_and(|kind| kind & 1 == 1) {
            continue;
        }
        is_first = false;
        let page = read_page(file, order, fields)?;
        write_page(
            &mut bytes,
            order,
            &page,
            &mut link,
            file.len() + ALIGNMENT_SLACK_BYTES,
        )?;
    }
    if is_first {
        return Err(Unreadable::Damaged);
    }
    Ok(Rewritten {
        bytes,
        exif: Some(file),
    })
}

/// Reads the fields of a directory, and the offset of the next one.
fn read_directory(file: &[u8], order: Order, at: u32) -> Result<(Vec<Field<'_>>, u32), Unreadable> {
    let mut input = Input(file.get(to_usize(at)?..).ok_or(Unreadable::CutOff)?);
    let count = order.short(input.array()?);
    let mut fields = Vec::new();
    for _ in 0..count {
        let (tag, kind) = (order.short(input.array()?), order.short(input.array()?));
        let count = order.long(input.array()?);
        let inline = input.take(4)?;
        if REJECTED_FIELDS.contains(&tag) || OLD_JPEG_FIELDS.contains(&tag) {
            return Err(Unreadable::Unstrippable);
        }
        let is_copied = KEPT_FIELDS.contains(&tag) || KEPT_COLOUR_FIELDS.contains(&tag);
        if !is_copied && tag != STRIPS.0 && tag != TILES.0 {
            continue;
        }
        let length = to_usize(count)?
            .checked_mul(width(kind)?)
            .ok_or(Unreadable::Damaged)?;
        let value = if let Some(inline) = inline.get(..length) {
            inline
        } else {
            let at = to_usize(order.long(Input(inline).array()?))?;
            let end = at.checked_add(length).ok_or(Unreadable::Damaged)?;
            file.get(at..end).ok_or(Unreadable::CutOff)?
        };
        fields.push(Field {
            tag,
            kind,
            count,
            value,
        });
    }
    let following = order.long(input.array()?);
    fields.sort_by_key(|field| field.tag);
    if fields.windows(2).any(|two| two[0].tag == two[1].tag) {
        return Err(Unreadable::Damaged);
    }
    Ok((fields, following))
}

/// Returns the bytes of one value of a kind.
fn width(kind: u16) -> Result<usize, Unreadable> {
    match kind {
        1 | 2 | 6 | 7 => Ok(1),
        SHORT | 8 => Ok(2),
        LONG | 9 | 11 => Ok(4),
        5 | 10 | 12 => Ok(8),
        _ => Err(Unreadable::Damaged),
    }
}

fn read_page<'a>(
    file: &'a [u8],
    order: Order,
    mut fields: Vec<Field<'a>>,
) -> Result<Page<'a>, Unreadable> {
    let compression = number(&fields, COMPRESSION, order).unwrap_or(1);
    if !COMPRESSIONS.contains(&compression) {
        return Err(Unreadable::Unstrippable);
    }
    let has = |tag| fields.iter().any(|field: &Field<'_>| field.tag == tag);
    let (offsets_tag, sizes_tag) = match (has(STRIPS.0), has(TILES.0)) {
        (true, false) => STRIPS,
        (false, true) => TILES,
        _ => return Err(Unreadable::Damaged),
    };
    let (offsets, sizes) = (
        numbers(&fields, offsets_tag, order)?,
        numbers(&fields, sizes_tag, order)?,
    );
    if offsets.len() != sizes.len() {
        return Err(Unreadable::Damaged);
    }
    let pixels = offsets.into_iter().zip(sizes).map(|(at, size)| {
        let at = to_usize(at)?;
        let end = at.checked_add(to_usize(size)?).ok_or(Unreadable::Damaged)?;
        file.get(at..end).ok_or(Unreadable::CutOff)
    });
    let pixels = pixels.collect::<Result<_, _>>()?;
    // Drops the counts of the other kind of chunks, which belong to no pixels.
    fields.retain(|field| {
        field.tag == offsets_tag || field.tag == sizes_tag || ![279, 325].contains(&field.tag)
    });
    Ok(Page {
        fields,
        offsets_tag,
        pixels,
    })
}

fn number(fields: &[Field<'_>], tag: u16, order: Order) -> Option<u32> {
    numbers(fields, tag, order).ok()?.first().copied()
}

fn numbers(fields: &[Field<'_>], tag: u16, order: Order) -> Result<Vec<u32>, Unreadable> {
    let field = fields
        .iter()
        .find(|field| field.tag == tag)
        .ok_or(Unreadable::Damaged)?;
    match field.kind {
        SHORT => Ok(field
            .value
            .as_chunks()
            .0
            .iter()
            .map(|bytes| order.short(*bytes).into())
            .collect()),
        LONG => Ok(field
            .value
            .as_chunks()
            .0
            .iter()
            .map(|bytes| order.long(*bytes))
            .collect()),
        _ => Err(Unreadable::Damaged),
    }
}

/// Writes the pixels, then the values that are longer than four bytes, then the directory. The file
/// never grows beyond `max_length`.
fn write_page(
    bytes: &mut Vec<u8>,
    order: Order,
    page: &Page<'_>,
    link: &mut usize,
    max_length: usize,
) -> Result<(), Unreadable> {
    let at = |bytes: &Vec<u8>| u32::try_from(bytes.len()).map_err(|_| Unreadable::Damaged);
    let mut offsets = Vec::with_capacity(4 * page.pixels.len());
    for pixels in &page.pixels {
        offsets.extend(order.long_bytes(at(bytes)?));
        append(bytes, pixels, max_length)?;
    }
    let mut directory = Vec::with_capacity(12 * page.fields.len());
    for field in &page.fields {
        let is_offsets = field.tag == page.offsets_tag;
        let (kind, value) = if is_offsets {
            (LONG, offsets.as_slice())
        } else {
            (field.kind, field.value)
        };
        directory.extend(order.short_bytes(field.tag));
        directory.extend(order.short_bytes(kind));
        directory.extend(order.long_bytes(field.count));
        if value.len() <= 4 {
            let mut inline = [0; 4];
            inline[..value.len()].copy_from_slice(value);
            directory.extend(inline);
        } else {
            align(bytes);
            directory.extend(order.long_bytes(at(bytes)?));
            append(bytes, value, max_length)?;
        }
    }
    align(bytes);
    let begins = order.long_bytes(at(bytes)?);
    bytes[*link..*link + 4].copy_from_slice(&begins);
    let count = u16::try_from(page.fields.len()).map_err(|_| Unreadable::Damaged)?;
    append(bytes, &order.short_bytes(count), max_length)?;
    append(bytes, &directory, max_length)?;
    *link = bytes.len();
    append(bytes, &[0; 4], max_length)
}

/// Pads to an even offset, which values and directories need.
fn align(bytes: &mut Vec<u8>) {
    if !bytes.len().is_multiple_of(2) {
        bytes.push(0);
    }
}

/// Appends bytes. The limit rejects files in which several directories share pixels, which would
/// make the new file longer than the old one.
fn append(bytes: &mut Vec<u8>, more: &[u8], max_length: usize) -> Result<(), Unreadable> {
    if bytes.len() + more.len() > max_length {
        return Err(Unreadable::Damaged);
    }
    bytes.extend_from_slice(more);
    Ok(())
}
