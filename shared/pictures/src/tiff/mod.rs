//! TIFF 6.0 and BigTIFF: the first page of a file. `tiff` decodes compression and predictors. The
//! samples are interpreted here, because `tiff` returns wrong pixels for some files and rejects
//! many others.

mod directory;
mod fax;
mod layout;
mod pixels;
mod reader;
mod samples;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use image::DynamicImage;
use image::metadata::Orientation;
use tiff::TiffError;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use crate::cmyk::CmykConverter;
use crate::file_reader::EndOfFile;
use crate::missing_rows::clear_rows_from;
use crate::{Feature, Unreadable, jpeg};
use fax::Fax;
use layout::{Colours, Depth, Layout};
use reader::Reader;
use samples::{Chunk, Samples};

/// The first bytes of a file in both byte orders, and those of `BigTIFF`.
const MAGICS: [[u8; 4]; 4] = [*b"II\x2a\0", *b"MM\0\x2a", *b"II\x2b\0", *b"MM\0\x2b"];

pub(crate) fn is_tiff(file: &[u8]) -> bool {
    MAGICS.iter().any(|magic| file.starts_with(magic))
}

/// A picture whose directory was read. No memory is allocated for its pixels yet.
pub(crate) struct Tiff<'a> {
    file: &'a [u8],
    decoder: Decoder<Reader<'a>>,
    end: EndOfFile,
    layout: Layout,
    /// Width and height in pixels.
    pub(crate) size: (u32, u32),
    pub(crate) orientation: Orientation,
    profile: Option<Vec<u8>>,
}

impl<'a> Tiff<'a> {
    /// Opens a file, and reads only the first directory.
    pub(crate) fn open(file: &'a [u8], max_allocation: u64) -> Result<Self, Unreadable> {
        let mut directory = directory::read(file)?;
        let (reader, end) = Reader::new(file, std::mem::take(&mut directory.patches));
        let mut limits = Limits::default();
        limits.decoding_buffer_size = usize::try_from(max_allocation).unwrap_or(usize::MAX);
        limits.intermediate_buffer_size = file.len();
        limits.ifd_value_size = file.len();
        let decoder = Decoder::new(reader).map_err(|error| end.explain(error.into()))?;
        let mut decoder = decoder.with_limits(limits);
        let layout =
            Layout::read(&mut decoder, &directory).map_err(|reason| end.explain(reason))?;
        let orientation = decoder
            .find_tag_unsigned::<u8>(Tag::Orientation)
            .unwrap_or_default();
        let orientation = orientation.and_then(Orientation::from_exif);
        Ok(Self {
            size: decoder.dimensions()?,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            profile: decoder.get_tag_u8_vec(Tag::IccProfile).ok(),
            file,
            decoder,
            end,
            layout,
        })
    }

    /// Takes the ICC profile, unless it is for CMYK, because decoding applies that one.
    pub(crate) fn take_profile(&mut self) -> Option<Vec<u8>> {
        if let Colours::Cmyk = self.layout.colours {
            None
        } else {
            self.profile.take()
        }
    }

    /// Returns the bytes of the largest buffer, and the memory for decoding in bytes: samples, the
    /// picture made from them, copies made by scaling, and a strip or tile with its decoder's data.
    pub(crate) fn memory(&mut self) -> Result<(u64, u64), Unreadable> {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        let picture = pixels.saturating_mul(self.layout.pixel_bytes());
        let samples = u64::try_from(self.layout.kept_samples()).unwrap_or(u64::MAX)
            * self.layout.sample_bytes();
        let samples = pixels.saturating_mul(samples);
        let chunk = self.decoder.image_chunk_buffer_layout(0)?.len;
        let chunk = u64::try_from(chunk).unwrap_or(u64::MAX);
        let all = picture
            .saturating_mul(3)
            .saturating_add(samples)
            .saturating_add(chunk.saturating_mul(3));
        Ok((picture.max(samples).max(chunk), all))
    }

    /// Decodes the strips or tiles of the file. Rows missing at its end are transparent.
    pub(crate) fn decode(mut self) -> Result<DynamicImage, Unreadable> {
        let cmyk = CmykConverter::new(self.profile.as_deref());
        let (picture, rows) = match self.layout.depth {
            Depth::Bits(bits) => {
                let Samples { values, rows } =
                    samples::read(&mut self, |tiff, index| tiff.bytes(index, bits))?;
                (
                    pixels::from_bytes(self.size, &self.layout, values, &cmyk),
                    rows,
                )
            }
            Depth::Sixteen => {
                let Samples { values, rows } =
                    samples::read(&mut self, |tiff, index| match tiff.chunk(index)? {
                        DecodingResult::U16(shorts) => Ok(shorts.into()),
                        _ => Err(Unreadable::Damaged),
                    })?;
                (
                    pixels::from_shorts(self.size, &self.layout, values, &cmyk),
                    rows,
                )
            }
            Depth::Float => {
                let Samples { values, rows } =
                    samples::read(&mut self, |tiff, index| match tiff.chunk(index)? {
                        DecodingResult::F32(floats) => Ok(floats.into()),
                        _ => Err(Unreadable::Damaged),
                    })?;
                (pixels::from_floats(self.size, &self.layout, &values), rows)
            }
        };
        picture
            .map(|picture| clear_rows_from(picture, rows))
            .ok_or(Unreadable::Damaged)
    }

    /// Decodes a strip or tile.
    fn chunk(&mut self, index: u32) -> Result<DecodingResult, Unreadable> {
        self.decoder
            .read_chunk(index)
            .map_err(|error| match self.end.explain(error.into()) {
                Unreadable::Damaged => self.unsupported_jpeg(index).unwrap_or(Unreadable::Damaged),
                reason => reason,
            })
    }

    /// Returns the reason if the strip or tile is a JPEG of an unsupported kind.
    fn unsupported_jpeg(&mut self, index: u32) -> Option<Unreadable> {
        let (data, _) = self.data(index).ok()?;
        jpeg::Header::read(data)
            .err()
            .filter(|reason| matches!(reason, Unreadable::Unsupported(_)))
    }

    /// Returns the compressed bytes of a strip or tile, and whether the file is truncated within
    /// them.
    fn data(&mut self, index: u32) -> Result<(&'a [u8], bool), Unreadable> {
        let (offsets, lengths) = match self.decoder.get_chunk_type() {
            ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
            ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
        };
        let mut number = |tag| -> Result<usize, Unreadable> {
            let numbers = self
                .decoder
                .find_tag_unsigned_vec::<u64>(tag)?
                .unwrap_or_default();
            let number = numbers.get(to_usize(index)?).ok_or(Unreadable::Damaged)?;
            usize::try_from(*number).map_err(|_| Unreadable::Damaged)
        };
        let (begin, count) = (number(offsets)?, number(lengths)?);
        let rest = self.file.get(begin..).ok_or(Unreadable::CutOff)?;
        Ok((&rest[..count.min(rest.len())], count > rest.len()))
    }

    /// Decodes a strip or tile to one byte for each sample of this number of bits.
    fn bytes(&mut self, index: u32, bits: u8) -> Result<Chunk<u8>, Unreadable> {
        if let Some(fax) = self.layout.fax {
            return self.fax(fax, index);
        }
        let (width, _) = self.decoder.chunk_data_dimensions(index);
        let row = to_usize(width)?
            * if self.layout.is_planar {
                1
            } else {
                self.layout.samples
            };
        match self.chunk(index)? {
            DecodingResult::U8(bytes) if bits == 8 => Ok(bytes.into()),
            DecodingResult::U8(bytes) => Ok(samples::unpack(&bytes, row, bits).into()),
            _ => Err(Unreadable::Damaged),
        }
    }

    fn fax(&mut self, fax: Fax, index: u32) -> Result<Chunk<u8>, Unreadable> {
        let (data, is_truncated) = self.data(index)?;
        let data = if self.layout.is_reversed {
            Cow::Owned(data.iter().map(|byte| byte.reverse_bits()).collect())
        } else {
            Cow::Borrowed(data)
        };
        let (columns, _) = self.decoder.chunk_dimensions();
        let (width, height) = self.decoder.chunk_data_dimensions(index);
        let (values, rows) =
            fax::decode_rows(fax, &data, columns, to_usize(width)?, to_usize(height)?);
        match rows {
            0 => Err(if is_truncated {
                Unreadable::CutOff
            } else {
                Unreadable::Damaged
            }),
            rows if is_truncated => Ok(Chunk {
                values,
                rows: Some(rows),
            }),
            _ => Ok(values.into()),
        }
    }
}

fn to_usize(edge: u32) -> Result<usize, Unreadable> {
    usize::try_from(edge).map_err(|_| Unreadable::TooManyPixels)
}

impl From<TiffError> for Unreadable {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::UnsupportedError(_) => Self::Unsupported(Feature::TiffSamples),
            TiffError::LimitsExceeded => Self::TooMuchMemory,
            _ => Self::Damaged,
        }
    }
}
