//! TIFF 6.0: a new file of the fields that decoding and colours need, with the strips and tiles that they point to.
//! Directories of EXIF and places, XMP, IPTC, every other field, previews and what nothing points to are not copied.
//! Raw files of cameras, which are TIFF with directories of their own, are refused: without those they are nothing.

use super::Rewritten;
use crate::Unreadable;
use crate::input::{Input, place};

/// More directories than a document has pages.
const MOST_PAGES: usize = 1_000;

/// The new file may be longer than the old one by what aligns it.
const SLACK: usize = 4 * 1024;

const KIND_OF_PAGE: u16 = 254;
const COMPRESSION: u16 = 259;
const STRIPS: (u16, u16) = (273, 279);
const TILES: (u16, u16) = (324, 325);

/// Fields that are copied as they are: what pixels are and how they are written (254 to 341), how colours are meant (529
/// to 532), the ICC profile.
const KEPT: [u16; 42] = [
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 274, 277, 278, 279, 280, 281, 282, 283,
    284, 290, 291, 292, 293, 296, 297, 301, 317, 318, 319, 320, 322, 323, 325, 332, 334, 336, 338,
    339, 340, 341, 34675,
];
const KEPT_OF_COLOURS: std::ops::RangeInclusive<u16> = 529..=532;

/// Directories below a page, tables of JPEG, and what makes it a camera's raw file.
const NOT_UNDERSTOOD: [u16; 4] = [330, 347, 50706, 50740];
const OLD_JPEG: std::ops::RangeInclusive<u16> = 512..=521;

/// None, the three of fax, LZW, Deflate by both of its numbers, PackBits: none of them has anything but pixels.
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

/// A field as it lies in the old file.
struct Field<'a> {
    tag: u16,
    kind: u16,
    count: u32,
    value: &'a [u8],
}

/// What is copied of a page.
struct Page<'a> {
    fields: Vec<Field<'a>>,
    /// The field that points to the pixels, and where they are.
    pointing: u16,
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
    // Where the place of the next directory is to be written.
    let mut link = 4;
    let (mut looked_at, mut is_first) = (0, true);
    while next != 0 {
        looked_at += 1;
        if looked_at > MOST_PAGES {
            return Err(Unreadable::Damaged);
        }
        let (fields, following) = directory(file, order, next)?;
        next = following;
        // A smaller copy of another page: a preview, perhaps of what was cut away.
        if !is_first && number(&fields, KIND_OF_PAGE, order).is_some_and(|kind| kind & 1 == 1) {
            continue;
        }
        is_first = false;
        let page = page(file, order, fields)?;
        write(&mut bytes, order, &page, &mut link, file.len() + SLACK)?;
    }
    if is_first {
        return Err(Unreadable::Damaged);
    }
    Ok(Rewritten {
        bytes,
        exif: Some(file),
    })
}

/// The fields of a directory, and where the next one is.
fn directory(file: &[u8], order: Order, at: u32) -> Result<(Vec<Field<'_>>, u32), Unreadable> {
    let mut input = Input(file.get(place(at)?..).ok_or(Unreadable::CutOff)?);
    let count = order.short(input.array()?);
    let mut fields = Vec::new();
    for _ in 0..count {
        let (tag, kind) = (order.short(input.array()?), order.short(input.array()?));
        let count = order.long(input.array()?);
        let inline = input.take(4)?;
        if NOT_UNDERSTOOD.contains(&tag) || OLD_JPEG.contains(&tag) {
            return Err(Unreadable::Unstrippable);
        }
        let is_copied = KEPT.contains(&tag) || KEPT_OF_COLOURS.contains(&tag);
        if !is_copied && tag != STRIPS.0 && tag != TILES.0 {
            continue;
        }
        let length = place(count)?
            .checked_mul(width(kind)?)
            .ok_or(Unreadable::Damaged)?;
        let value = if let Some(inline) = inline.get(..length) {
            inline
        } else {
            let at = place(order.long(Input(inline).array()?))?;
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

/// Bytes of one value of a kind.
fn width(kind: u16) -> Result<usize, Unreadable> {
    match kind {
        1 | 2 | 6 | 7 => Ok(1),
        SHORT | 8 => Ok(2),
        LONG | 9 | 11 => Ok(4),
        5 | 10 | 12 => Ok(8),
        _ => Err(Unreadable::Damaged),
    }
}

fn page<'a>(
    file: &'a [u8],
    order: Order,
    mut fields: Vec<Field<'a>>,
) -> Result<Page<'a>, Unreadable> {
    let compression = number(&fields, COMPRESSION, order).unwrap_or(1);
    if !COMPRESSIONS.contains(&compression) {
        return Err(Unreadable::Unstrippable);
    }
    let has = |tag| fields.iter().any(|field: &Field<'_>| field.tag == tag);
    let (pointing, counting) = match (has(STRIPS.0), has(TILES.0)) {
        (true, false) => STRIPS,
        (false, true) => TILES,
        _ => return Err(Unreadable::Damaged),
    };
    let (places, sizes) = (
        numbers(&fields, pointing, order)?,
        numbers(&fields, counting, order)?,
    );
    if places.len() != sizes.len() {
        return Err(Unreadable::Damaged);
    }
    let pixels = places.into_iter().zip(sizes).map(|(at, size)| {
        let at = place(at)?;
        let end = at.checked_add(place(size)?).ok_or(Unreadable::Damaged)?;
        file.get(at..end).ok_or(Unreadable::CutOff)
    });
    let pixels = pixels.collect::<Result<_, _>>()?;
    // What is not pointed to by this page is not copied with it.
    fields.retain(|field| {
        field.tag == pointing || field.tag == counting || ![279, 325].contains(&field.tag)
    });
    Ok(Page {
        fields,
        pointing,
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

/// Pixels first, then the values that are longer than four bytes, then the directory. Nothing is written beyond `most`.
fn write(
    bytes: &mut Vec<u8>,
    order: Order,
    page: &Page<'_>,
    link: &mut usize,
    most: usize,
) -> Result<(), Unreadable> {
    let at = |bytes: &Vec<u8>| u32::try_from(bytes.len()).map_err(|_| Unreadable::Damaged);
    let mut places = Vec::with_capacity(4 * page.pixels.len());
    for pixels in &page.pixels {
        places.extend(order.long_bytes(at(bytes)?));
        append(bytes, pixels, most)?;
    }
    let mut directory = Vec::with_capacity(12 * page.fields.len());
    for field in &page.fields {
        let points = field.tag == page.pointing;
        let (kind, value) = if points {
            (LONG, places.as_slice())
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
            append(bytes, value, most)?;
        }
    }
    align(bytes);
    let begins = order.long_bytes(at(bytes)?);
    bytes[*link..*link + 4].copy_from_slice(&begins);
    let count = u16::try_from(page.fields.len()).map_err(|_| Unreadable::Damaged)?;
    append(bytes, &order.short_bytes(count), most)?;
    append(bytes, &directory, most)?;
    *link = bytes.len();
    append(bytes, &[0; 4], most)
}

/// To an even place, where values and directories have to be.
fn align(bytes: &mut Vec<u8>) {
    if !bytes.len().is_multiple_of(2) {
        bytes.push(0);
    }
}

/// Pixels that several directories point to would make the new file longer than the old one.
fn append(bytes: &mut Vec<u8>, more: &[u8], most: usize) -> Result<(), Unreadable> {
    if bytes.len() + more.len() > most {
        return Err(Unreadable::Damaged);
    }
    bytes.extend_from_slice(more);
    Ok(())
}
