//! PNG (third edition): the picture as far as its data goes, and how its colours are meant.

mod colours;

use ::png::{
    BitDepth, ColorType, Decoder, DecodingError, InterlaceInfo, Limits, Reader, Transformations,
};
use image::{DynamicImage, ImageBuffer, LumaA};

use crate::Unreadable;
use crate::cut_off::without_rows;
use crate::file_reader::{End, FileReader};
pub(crate) use colours::profile;

pub(crate) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The first pass of Adam7 has a pixel of each square of so many (section 8).
const FIRST_PASS: u32 = 8;

/// A picture whose chunks before the pixels were read.
pub(crate) struct Png<'a> {
    reader: Reader<FileReader<'a>>,
    end: End,
    /// Bytes of the picture.
    length: usize,
}

impl<'a> Png<'a> {
    /// Reads up to the pixels. The decoder allocates no more than `max_allocation` bytes beside them.
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

    /// Pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.reader.info().size()
    }

    /// Bytes of the picture.
    pub(crate) fn length(&self) -> u64 {
        u64::try_from(self.length).unwrap_or(u64::MAX)
    }

    pub(crate) fn icc_profile(&self) -> Option<&[u8]> {
        self.reader.info().icc_profile.as_deref()
    }

    pub(crate) fn exif(&self) -> Option<&[u8]> {
        self.reader.info().exif_metadata.as_deref()
    }

    /// Reads the pixels up to the end, or to what is damaged. Rows that are missing are transparent.
    ///
    /// # Errors
    /// There is not a single row.
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
        Ok(without_rows(picture, rows.min(height)))
    }

    /// Returns the transparent level of an image with 1, 2 or 4 bits of grey, in 8 bits. Only the
    /// bits that a pixel has count in `tRNS` (section 11.3.1.1); the decoder compares all of them.
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

    /// Returns how many rows there are, and why there are no more.
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

    /// The same of a picture in passes. A pixel fills the square that the next ones divide, as browsers show it.
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
                    if let InterlaceInfo::Adam7(place) = row.interlace() {
                        ::png::splat_interlaced_row(bytes, stride, row.data(), place, bits);
                    }
                    rows = rows.saturating_add(FIRST_PASS);
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
