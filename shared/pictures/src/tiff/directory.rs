//! The first directory of a TIFF file, as far as it is needed before `tiff` reads the file.

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

/// Compressions with a predictor: LZW, and both numbers of Deflate.
const COMPRESSIONS_WITH_PREDICTOR: [u32; 3] = [5, 8, 32946];

const SHORT: u16 = 3;
const LONG: u16 = 4;

/// Bytes that the decoder reads instead of the file's.
pub(super) struct Patch {
    pub(super) offset: u64,
    pub(super) bytes: [u8; 4],
}

/// The pixels' interpretation, and the patches that hide it from the decoder.
pub(super) struct Directory {
    /// The photometric interpretation (TIFF 6.0, section 8).
    pub(super) interpretation: u16,
    pub(super) patches: Vec<Patch>,
}

struct Field {
    tag: u16,
    kind: u16,
    /// Number of values.
    count: u64,
    /// Offsets of the field and of its value.
    offset: u64,
    value_offset: u64,
    value: [u8; 4],
}

/// The byte order and size of numbers in a file.
#[derive(Clone, Copy)]
struct NumberFormat {
    is_big_endian: bool,
    /// Whether the file is BigTIFF, whose counts and offsets have 64 bits.
    is_big_tiff: bool,
}

impl NumberFormat {
    /// Reads the header, up to the offset of the first directory.
    fn read(input: &mut Input<'_>) -> Result<Self, Unreadable> {
        let mut format = Self {
            is_big_endian: input.array()? == *b"MM",
            is_big_tiff: false,
        };
        format.is_big_tiff = format.short(input.array()?) == 43;
        if format.is_big_tiff {
            input.take(4)?;
        }
        Ok(format)
    }

    fn short(self, bytes: [u8; 2]) -> u16 {
        if self.is_big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    fn long(self, bytes: [u8; 4]) -> u32 {
        if self.is_big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn longer(self, bytes: [u8; 8]) -> u64 {
        if self.is_big_endian {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        }
    }

    /// Reads a count or an offset.
    fn offset_or_count(self, input: &mut Input<'_>) -> Result<u64, Unreadable> {
        Ok(if self.is_big_tiff {
            self.longer(input.array()?)
        } else {
            self.long(input.array()?).into()
        })
    }

    fn short_bytes(self, number: u16) -> [u8; 2] {
        if self.is_big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    fn long_bytes(self, number: u32) -> [u8; 4] {
        if self.is_big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }
}

/// The fields of a directory.
struct Fields {
    format: NumberFormat,
    entries: Vec<Field>,
    /// Position of the offset of the next page.
    next_page_position: u64,
}

impl Fields {
    fn read(file: &[u8]) -> Result<Self, Unreadable> {
        let mut input = Input(file);
        let format = NumberFormat::read(&mut input)?;
        let begin = usize::try_from(format.offset_or_count(&mut input)?)
            .map_err(|_| Unreadable::Damaged)?;
        let mut input = Input(file.get(begin..).ok_or(Unreadable::CutOff)?);
        let count = if format.is_big_tiff {
            format.longer(input.array()?)
        } else {
            format.short(input.array()?).into()
        };
        let position =
            |input: &Input<'_>| u64::try_from(file.len() - input.0.len()).unwrap_or(u64::MAX);
        let mut entries = Vec::new();
        for _ in 0..count {
            let offset = position(&input);
            let (tag, kind) = (format.short(input.array()?), format.short(input.array()?));
            let count = format.offset_or_count(&mut input)?;
            let value_offset = position(&input);
            entries.push(Field {
                tag,
                kind,
                count,
                offset,
                value_offset,
                value: input.array()?,
            });
            input.take(if format.is_big_tiff { 4 } else { 0 })?;
        }
        Ok(Self {
            format,
            entries,
            next_page_position: position(&input),
        })
    }

    fn find(&self, tag: u16) -> Option<&Field> {
        self.entries.iter().find(|field| field.tag == tag)
    }

    fn numeric(&self, tag: u16) -> Option<&Field> {
        self.find(tag)
            .filter(|field| matches!(field.kind, SHORT | LONG))
    }

    fn number(&self, field: &Field) -> u32 {
        match field.kind {
            SHORT => self.format.short([field.value[0], field.value[1]]).into(),
            _ => self.format.long(field.value),
        }
    }

    /// Returns the patch that sets a numeric field to this value.
    fn patch(&self, field: &Field, number: u32) -> Patch {
        let number = match (field.kind, self.format.is_big_endian) {
            (SHORT, true) => number << 16,
            _ => number,
        };
        Patch {
            offset: field.value_offset,
            bytes: self.format.long_bytes(number),
        }
    }

    /// Ends the list of pages after this one. The offset of the next page has 4 bytes or 8.
    fn without_further_pages(&self) -> impl Iterator<Item = Patch> {
        let halves = [0, 4]
            .into_iter()
            .take(if self.format.is_big_tiff { 2 } else { 1 });
        halves.map(|half| Patch {
            offset: self.next_page_position + half,
            bytes: [0; 4],
        })
    }

    /// Changes the tags of strip fields that list tiles.
    fn with_tile_tags(&self) -> Vec<Patch> {
        if self.find(TILE_WIDTH).is_none() || self.find(TILE_OFFSETS).is_some() {
            return Vec::new();
        }
        let names = [
            (STRIP_OFFSETS, TILE_OFFSETS),
            (STRIP_BYTE_COUNTS, TILE_BYTE_COUNTS),
        ];
        let renamed = names.into_iter().filter_map(|(strip, tile)| {
            let field = self.find(strip)?;
            let [first, second] = self.format.short_bytes(tile);
            let [third, fourth] = self.format.short_bytes(field.kind);
            Some(Patch {
                offset: field.offset,
                bytes: [first, second, third, fourth],
            })
        });
        renamed.collect()
    }

    /// Sets the length of a single strip without one: up to the end of the file.
    fn with_length_of_single_strip(&self, file: &[u8]) -> Option<Patch> {
        let (offset, length) = (
            self.numeric(STRIP_OFFSETS)?,
            self.numeric(STRIP_BYTE_COUNTS)?,
        );
        let is_missing =
            (offset.count, length.count, length.kind, self.number(length)) == (1, 1, LONG, 0);
        let begin = usize::try_from(self.number(offset)).unwrap_or(usize::MAX);
        let rest = file.len().saturating_sub(begin);
        is_missing.then(|| self.patch(length, u32::try_from(rest).unwrap_or(u32::MAX)))
    }

    /// Limits the height of strips to that of the picture.
    fn with_limited_strip_height(&self) -> Option<Patch> {
        let (rows, height) = (self.numeric(ROWS_PER_STRIP)?, self.numeric(IMAGE_LENGTH)?);
        let is_higher = rows.kind == LONG && self.number(rows) > self.number(height);
        is_higher.then(|| self.patch(rows, self.number(height)))
    }

    /// Removes the predictor of a compression that has none.
    fn without_wrong_predictor(&self) -> Option<Patch> {
        let compression = self
            .numeric(COMPRESSION)
            .map_or(1, |field| self.number(field));
        let predictor = self.numeric(PREDICTOR)?;
        (!COMPRESSIONS_WITH_PREDICTOR.contains(&compression)).then(|| self.patch(predictor, 1))
    }
}

/// Reads the directory, and returns the patches with which the decoder reads the file:
///
/// - Every picture is greyscale, so that the decoder returns all samples of a pixel unchanged. It
///   applies predictors wrongly if it drops samples.
/// - As with libtiff, a predictor of another compression is ignored, tiles may be listed as strips,
///   and a single strip may have no length.
/// - A strip is no higher than the picture, because the decoder allocates all of its rows.
/// - The first page is the last one, because the list of pages may be circular.
pub(super) fn read(file: &[u8]) -> Result<Directory, Unreadable> {
    let fields = Fields::read(file)?;
    let field = fields
        .numeric(INTERPRETATION)
        .ok_or(Unreadable::Unsupported(Feature::TiffColours))?;
    let interpretation = fields
        .number(field)
        .try_into()
        .map_err(|_| Unreadable::Damaged)?;
    let mut patches = vec![fields.patch(field, 1)];
    patches.extend(fields.without_further_pages());
    patches.extend(fields.with_tile_tags());
    patches.extend(fields.with_length_of_single_strip(file));
    patches.extend(fields.with_limited_strip_height());
    patches.extend(fields.without_wrong_predictor());
    Ok(Directory {
        interpretation,
        patches,
    })
}
