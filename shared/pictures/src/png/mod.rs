//! PNG (third edition): the picture, as far as its data is complete, and its colour space.

mod colours;

use ::png::{
    BitDepth, ColorType, Decoder, DecodingError, InterlaceInfo, Limits, Reader, Transformations,
};
use image::{DynamicImage, ImageBuffer, LumaA};

use crate::Unreadable;
use crate::file_reader::{EndOfFile, FileReader};
use crate::missing_rows::clear_rows_from;
pub(crate) use colours::profile;

pub(crate) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Size of the squares of which the first pass of Adam7 has one pixel each (section 8).
const FIRST_PASS_SQUARE: u32 = 8;

/// A picture whose chunks before the pixels were read.
pub(crate) struct Png<'a> {
    reader: Reader<FileReader<'a>>,
    end: EndOfFile,
    /// Bytes of the decoded picture.
    length: usize,
}

impl<'a> Png<'a> {
    /// Reads the file up to the pixels. The decoder allocates at most `max_allocation` bytes in
    /// addition to them.
    pub(crate) fn open(file: &'a [u8], max_allocation: u64) -> Result<Self, Unreadable> {
        let (reader, end) = FileReader::new(file);
        let bytes = usize::try_from(max_allocation).unwrap_or(usize::MAX);
        let mut decoder = Decoder::new_with_limits(reader, Limits { bytes });
        decoder.set_ignore_text_chunk(true);
        decoder.set_transformations(Transformations::EXPAND);
        let reader = decoder
            .read_info()
            .map_err(|error| end.explain(error.into()))?;
        let length = reader
            .output_buffer_size()
            .ok_or(Unreadable::TooMuchMemory)?;
        Ok(Self {
            reader,
            end,
            length,
        })
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.reader.info().size()
    }

    /// Returns the bytes of the decoded picture.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        u64::try_from(self.length).unwrap_or(u64::MAX)
    }

    pub(crate) fn icc_profile(&self) -> Option<&[u8]> {
        self.reader.info().icc_profile.as_deref()
    }

    pub(crate) fn exif(&self) -> Option<&[u8]> {
        self.reader.info().exif_metadata.as_deref()
    }

    /// Decodes the pixels up to the end, or to the first damage. Missing rows are transparent.
    ///
    /// # Errors
    /// Fails if not even one row can be decoded.
    pub(crate) fn decode(mut self) -> Result<DynamicImage, Unreadable> {
        let (_, height) = self.size();
        let mut bytes = vec![0; self.length];
        let (rows, failure) = if self.reader.info().interlaced {
            self.read_passes(&mut bytes)
        } else {
            self.read_rows(&mut bytes)
        };
        match failure {
            Some(DecodingError::LimitsExceeded) => return Err(Unreadable::TooMuchMemory),
            Some(error) if rows == 0 => return Err(self.end.explain(error.into())),
            _ => {}
        }
        let mut picture = self.picture(bytes)?;
        if let (Some(level), DynamicImage::ImageLumaA8(pixels)) =
            (self.transparent_level(), &mut picture)
        {
            for LumaA([_, alpha]) in pixels.pixels_mut().filter(|pixel| pixel.0[0] == level) {
                *alpha = 0;
            }
        }
        Ok(clear_rows_from(picture, rows.min(height)))
    }

    /// Returns the transparent level of an image with 1, 2 or 4 bits of grey, in 8 bits. Only as
    /// many bits of `tRNS` apply as a pixel has (section 11.3.1.1), but the decoder compares all of
    /// them.
    fn transparent_level(&self) -> Option<u8> {
        let info = self.reader.info();
        let depth = info.bit_depth as u32;
        if info.color_type != ColorType::Grayscale || depth >= 8 {
            return None;
        }
        let max = u8::MAX >> (8 - depth);
        let level = info.trns.as_deref()?.first()? & max;
        Some(level * (u8::MAX / max))
    }

    /// Returns the number of decoded rows, and the error that ended them.
    fn read_rows(&mut self, bytes: &mut [u8]) -> (u32, Option<DecodingError>) {
        let (width, _) = self.size();
        let Some(stride) = self.reader.output_line_size(width) else {
            return (0, None);
        };
        let mut rows = 0;
        for row in bytes.chunks_exact_mut(stride) {
            if let Err(error) = self.reader.read_row(row) {
                return (rows, Some(error));
            }
            rows += 1;
        }
        (rows, None)
    }

    /// Reads the passes of an interlaced picture like [`Self::read_rows`]. A pixel fills the square
    /// that later passes divide, as browsers show it.
    fn read_passes(&mut self, bytes: &mut [u8]) -> (u32, Option<DecodingError>) {
        let (width, _) = self.size();
        let Some(stride) = self.reader.output_line_size(width) else {
            return (0, None);
        };
        let (colour, depth) = self.reader.output_color_type();
        let bits = if depth == BitDepth::Sixteen { 16 } else { 8 };
        let bits = bits * u8::try_from(colour.samples()).unwrap_or(4);
        let mut rows = 0_u32;
        loop {
            match self.reader.next_interlaced_row() {
                Ok(Some(row)) => {
                    if let InterlaceInfo::Adam7(position) = row.interlace() {
                        ::png::splat_interlaced_row(bytes, stride, row.data(), position, bits);
                    }
                    rows = rows.saturating_add(FIRST_PASS_SQUARE);
                }
                Ok(None) => return (rows, None),
                Err(error) => return (rows, Some(error)),
            }
        }
    }

    fn picture(&self, bytes: Vec<u8>) -> Result<DynamicImage, Unreadable> {
        let (width, height) = self.size();
        let shorts = |bytes: &[u8]| {
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|two| u16::from_be_bytes(*two))
                .collect()
        };
        let picture =
            match self.reader.output_color_type() {
                (ColorType::Grayscale, BitDepth::Eight) => {
                    ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8)
                }
                (ColorType::GrayscaleAlpha, BitDepth::Eight) => {
                    ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageLumaA8)
                }
                (ColorType::Rgb, BitDepth::Eight) => {
                    ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8)
                }
                (ColorType::Rgba, BitDepth::Eight) => {
                    ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8)
                }
                (ColorType::Grayscale, _) => ImageBuffer::from_raw(width, height, shorts(&bytes))
                    .map(DynamicImage::ImageLuma16),
                (ColorType::GrayscaleAlpha, _) => {
                    ImageBuffer::from_raw(width, height, shorts(&bytes))
                        .map(DynamicImage::ImageLumaA16)
                }
                (ColorType::Rgb, _) => ImageBuffer::from_raw(width, height, shorts(&bytes))
                    .map(DynamicImage::ImageRgb16),
                (ColorType::Rgba, _) => ImageBuffer::from_raw(width, height, shorts(&bytes))
                    .map(DynamicImage::ImageRgba16),
                (ColorType::Indexed, _) => None,
            };
        picture.ok_or(Unreadable::Damaged)
    }
}

impl From<DecodingError> for Unreadable {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::LimitsExceeded => Self::TooMuchMemory,
            _ => Self::Damaged,
        }
    }
}
