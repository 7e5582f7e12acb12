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

/// How a file writes numbers.
#[derive(Clone, Copy)]
struct Layout {
    is_big_endian: bool,
    /// BigTIFF, whose counts and places have 64 bits.
    is_big: bool,
}

impl Layout {
    /// Reads the header, up to the place of the first directory.
    fn read(input: &mut Input<'_>) -> Result<Self, Unreadable> {
        let mut layout = Self {
            is_big_endian: input.array()? == *b"MM",
            is_big: false,
        };
        layout.is_big = layout.short(input.array()?) == 43;
        if layout.is_big {
            input.take(4)?;
        }
        Ok(layout)
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

    /// Reads a count or a place.
    fn wide(self, input: &mut Input<'_>) -> Result<u64, Unreadable> {
        Ok(if self.is_big {
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
    layout: Layout,
    entries: Vec<Field>,
    /// Where the place of the next page is.
    next_page: u64,
}

impl Fields {
    fn read(file: &[u8]) -> Result<Self, Unreadable> {
        let mut input = Input(file);
        let layout = Layout::read(&mut input)?;
        let begin = usize::try_from(layout.wide(&mut input)?).map_err(|_| Unreadable::Damaged)?;
        let mut input = Input(file.get(begin..).ok_or(Unreadable::CutOff)?);
        let count = if layout.is_big {
            layout.longer(input.array()?)
        } else {
            layout.short(input.array()?).into()
        };
        let place =
            |input: &Input<'_>| u64::try_from(file.len() - input.0.len()).unwrap_or(u64::MAX);
        let mut fields = Vec::new();
        for _ in 0..count {
            let begin = place(&input);
            let (tag, kind) = (layout.short(input.array()?), layout.short(input.array()?));
            let count = layout.wide(&mut input)?;
            let at = place(&input);
            fields.push(Field {
                tag,
                kind,
                count,
                begin,
                at,
                value: input.array()?,
            });
            input.take(if layout.is_big { 4 } else { 0 })?;
        }
        Ok(Self {
            layout,
            entries: fields,
            next_page: place(&input),
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
            SHORT => self.layout.short([field.value[0], field.value[1]]).into(),
            _ => self.layout.long(field.value),
        }
    }

    /// Returns the patch that gives a numeric field this value.
    fn patch(&self, field: &Field, number: u32) -> Patch {
        let number = match (field.kind, self.layout.is_big_endian) {
            (SHORT, true) => number << 16,
            _ => number,
        };
        Patch {
            at: field.at,
            bytes: self.layout.long_bytes(number),
        }
    }

    /// Ends the list of pages after this one. The place of the next page has 4 bytes or 8.
    fn without_further_pages(&self) -> impl Iterator<Item = Patch> {
        let halves = [0, 4]
            .into_iter()
            .take(if self.layout.is_big { 2 } else { 1 });
        halves.map(|half| Patch {
            at: self.next_page + half,
            bytes: [0; 4],
        })
    }

    /// Renames the fields of strips that list tiles.
    fn tiles_under_their_tags(&self) -> Vec<Patch> {
        if self.find(TILE_WIDTH).is_none() || self.find(TILE_OFFSETS).is_some() {
            return Vec::new();
        }
        let names = [
            (STRIP_OFFSETS, TILE_OFFSETS),
            (STRIP_BYTE_COUNTS, TILE_BYTE_COUNTS),
        ];
        let renamed = names.into_iter().filter_map(|(strip, tile)| {
            let field = self.find(strip)?;
            let [first, second] = self.layout.short_bytes(tile);
            let [third, fourth] = self.layout.short_bytes(field.kind);
            Some(Patch {
                at: field.begin,
                bytes: [first, second, third, fourth],
            })
        });
        renamed.collect()
    }

    /// Gives the only strip its length, if it has none: up to the end of the file.
    fn length_of_the_only_strip(&self, file: &[u8]) -> Option<Patch> {
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

    /// Makes a strip no higher than the picture.
    fn height_of_strips(&self) -> Option<Patch> {
        let (rows, height) = (self.numeric(ROWS_PER_STRIP)?, self.numeric(IMAGE_LENGTH)?);
        let is_higher = rows.kind == LONG && self.number(rows) > self.number(height);
        is_higher.then(|| self.patch(rows, self.number(height)))
    }

    /// Removes a predictor of a compression that has none.
    fn without_wrong_predictor(&self) -> Option<Patch> {
        let compression = self
            .numeric(COMPRESSION)
            .map_or(1, |field| self.number(field));
        let predictor = self.numeric(PREDICTOR)?;
        (!PREDICTED.contains(&compression)).then(|| self.patch(predictor, 1))
    }
}

/// Reads the directory. With the patches every picture is a grey one, so that the decoder returns all samples of a pixel as
/// they are: it applies predictors wrongly once it drops samples. As with libtiff, a predictor of another compression is
/// ignored, tiles may be listed as strips, and the only strip may have no length. A strip is no higher than the picture, since
/// the decoder allocates all of its rows. There are no further pages: the list of them may be a circle.
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
    patches.extend(fields.tiles_under_their_tags());
    patches.extend(fields.length_of_the_only_strip(file));
    patches.extend(fields.height_of_strips());
    patches.extend(fields.without_wrong_predictor());
    Ok(Directory {
        interpretation,
        patches,
    })
}
