//! GIF: the first frame as far as its data goes.

use ::gif::{ColorOutput, DecodeOptions, Decoder, DecodingError};
use image::{DynamicImage, RgbaImage};

use crate::Unreadable;
use crate::file_reader::{End, FileReader};

pub(crate) const MAGIC: &[u8] = b"GIF8";

/// Bytes of a pixel: red, green, blue and alpha.
const PIXEL: usize = 4;

/// The passes of an interlaced frame: the first row, the step to the next one, and the rows that a row stands for until
/// later passes have come (GIF89a, appendix E).
const PASSES: [(usize, usize, usize); 4] = [(0, 8, 8), (4, 8, 4), (2, 4, 2), (1, 2, 1)];

/// The same of a frame whose rows come in their order.
const IN_ORDER: [(usize, usize, usize); 1] = [(0, 1, 1)];

/// A picture whose screen was read.
pub(crate) struct Gif<'a> {
    decoder: Decoder<FileReader<'a>>,
    end: End,
}

impl<'a> Gif<'a> {
    /// Reads up to the first frame.
    pub(crate) fn open(file: &'a [u8]) -> Result<Self, Unreadable> {
        let (reader, end) = FileReader::new(file);
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        let decoder = options
            .read_info(reader)
            .map_err(|error| end.explain(error.into()))?;
        Ok(Self { decoder, end })
    }

    /// Pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.decoder.width().into(), self.decoder.height().into())
    }

    /// Bytes of the picture.
    pub(crate) fn length(&self) -> u64 {
        let (width, height) = self.size();
        u64::from(width) * u64::from(height) * 4
    }

    pub(crate) fn icc_profile(&self) -> Option<&[u8]> {
        self.decoder.icc_profile()
    }

    /// Reads the first frame up to the end, or to what is damaged. What it does not cover is transparent.
    ///
    /// # Errors
    /// There is not a single row.
    pub(crate) fn decode(mut self) -> Result<DynamicImage, Unreadable> {
        let (width, height) = (
            usize::from(self.decoder.width()),
            usize::from(self.decoder.height()),
        );
        let mut picture = vec![0; PIXEL * width * height];
        let frame = self
            .decoder
            .next_frame_info()
            .map_err(|error| self.end.explain(error.into()))?;
        let frame = frame.ok_or(Unreadable::Damaged)?;
        let (left, top) = (usize::from(frame.left), usize::from(frame.top));
        let (wide, high) = (usize::from(frame.width), usize::from(frame.height));
        let passes: &[_] = if frame.interlaced { &PASSES } else { &IN_ORDER };
        let shown = PIXEL * wide.min(width.saturating_sub(left));
        let mut row = vec![0; PIXEL * wide];
        let mut has_rows = false;
        let order = passes.iter().flat_map(|(first, step, stands_for)| {
            (*first..high)
                .step_by(*step)
                .map(|place| (place, *stands_for))
        });
        for (place, stands_for) in order {
            row.fill(0);
            if !matches!(self.decoder.fill_buffer(&mut row), Ok(true)) {
                break;
            }
            has_rows = true;
            let last = (place + stands_for).min(high);
            for y in (top + place..top + last).take_while(|y| *y < height) {
                let begin = PIXEL * (y * width + left.min(width));
                picture[begin..begin + shown].copy_from_slice(&row[..shown]);
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
