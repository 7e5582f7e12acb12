//! GIF: the first frame, as far as its data is complete.

use ::gif::{ColorOutput, DecodeOptions, Decoder, DecodingError};
use image::{DynamicImage, RgbaImage};

use crate::Unreadable;
use crate::file_reader::{EndOfFile, FileReader};

pub(crate) const MAGIC: &[u8] = b"GIF8";

/// Bytes of a pixel: red, green, blue and alpha.
const PIXEL_BYTES: usize = 4;

/// The passes of an interlaced frame: the first row, the step to the next one, and the number of
/// rows that a row fills until later passes arrive (GIF89a, appendix E).
const INTERLACED_PASSES: [(usize, usize, usize); 4] = [(0, 8, 8), (4, 8, 4), (2, 4, 2), (1, 2, 1)];

/// The single pass of a frame whose rows are in order.
const SEQUENTIAL_PASS: [(usize, usize, usize); 1] = [(0, 1, 1)];

/// A picture whose header was read.
pub(crate) struct Gif<'a> {
    decoder: Decoder<FileReader<'a>>,
    end: EndOfFile,
}

impl<'a> Gif<'a> {
    /// Reads the file up to the first frame.
    pub(crate) fn open(file: &'a [u8]) -> Result<Self, Unreadable> {
        let (reader, end) = FileReader::new(file);
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        let decoder = options
            .read_info(reader)
            .map_err(|error| end.explain(error.into()))?;
        Ok(Self { decoder, end })
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.decoder.width().into(), self.decoder.height().into())
    }

    /// Bytes of the decoded picture.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        let (width, height) = self.size();
        u64::from(width) * u64::from(height) * 4
    }

    pub(crate) fn icc_profile(&self) -> Option<&[u8]> {
        self.decoder.icc_profile()
    }

    /// Decodes the first frame up to its end, or to the first damage. Pixels outside the frame are
    /// transparent.
    ///
    /// # Errors
    /// Fails if not even one row can be decoded.
    pub(crate) fn decode(mut self) -> Result<DynamicImage, Unreadable> {
        let (width, height) = (
            usize::from(self.decoder.width()),
            usize::from(self.decoder.height()),
        );
        let mut picture = vec![0; PIXEL_BYTES * width * height];
        let frame = self
            .decoder
            .next_frame_info()
            .map_err(|error| self.end.explain(error.into()))?;
        let frame = frame.ok_or(Unreadable::Damaged)?;
        let (left, top) = (usize::from(frame.left), usize::from(frame.top));
        let (wide, high) = (usize::from(frame.width), usize::from(frame.height));
        let passes: &[_] = if frame.interlaced {
            &INTERLACED_PASSES
        } else {
            &SEQUENTIAL_PASS
        };
        let visible_bytes = PIXEL_BYTES * wide.min(width.saturating_sub(left));
        let mut row = vec![0; PIXEL_BYTES * wide];
        let mut has_rows = false;
        let order = passes.iter().flat_map(|(first, step, fills)| {
            (*first..high).step_by(*step).map(|row| (row, *fills))
        });
        for (row_number, fills) in order {
            row.fill(0);
            if !matches!(self.decoder.fill_buffer(&mut row), Ok(true)) {
                break;
            }
            has_rows = true;
            let last = (row_number + fills).min(high);
            for y in (top + row_number..top + last).take_while(|y| *y < height) {
                let begin = PIXEL_BYTES * (y * width + left.min(width));
                picture[begin..begin + visible_bytes].copy_from_slice(&row[..visible_bytes]);
            }
        }
        if !has_rows {
            return Err(self.end.explain(Unreadable::Damaged));
        }
        let (width, height) = self.size();
        RgbaImage::from_raw(width, height, picture)
            .map(DynamicImage::from)
            .ok_or(Unreadable::Damaged)
    }
}

impl From<DecodingError> for Unreadable {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::OutOfMemory | DecodingError::MemoryLimit => Self::TooMuchMemory,
            _ => Self::Damaged,
        }
    }
}
