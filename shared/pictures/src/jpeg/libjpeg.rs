//! Decodes any JPEG with libjpeg-turbo.

use image::DynamicImage;
use mozjpeg::{ColorSpace, Decompress};

use super::{Header, guarded, to_reason};
use crate::Unreadable;
use crate::cmyk::CmykConverter;
use crate::derive::Target;
use crate::file_reader::{EndOfFile, FileReader};
use crate::strips::{Pixel, Strips};

/// Scales in eighths at which the decoder is fast.
const FAST_SCALES: [u8; 4] = [1, 2, 4, 8];

/// The sample value that libjpeg uses for missing data: grey.
const FILL_SAMPLE: u8 = 128;

/// Bytes per pixel that the decoder keeps of a picture with several scans.
const COEFFICIENT_BYTES_PER_PIXEL: u64 = 6;

impl Header<'_> {
    /// Returns the estimated memory in bytes for decoding at least `required` pixels for this
    /// number of images.
    pub(crate) fn memory(&self, required: (u32, u32), images: u64) -> u64 {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        let coefficients = if self.is_in_one_scan {
            0
        } else {
            pixels.saturating_mul(COEFFICIENT_BYTES_PER_PIXEL)
        };
        let numerator = u64::from(scale(self.size, required));
        let decoded = pixels.saturating_mul(numerator * numerator) / 64;
        // The rows of the picture count twice, if an image is so small that each of its rows needs
        // all of them, and each image first has the picture's width.
        let decoded = decoded.saturating_mul(u64::from(self.components.max(3)));
        coefficients.saturating_add(decoded.saturating_mul(images.saturating_add(2)))
    }
}

/// Decodes a picture with at least `required` pixels, unless it is smaller, and scales it to the
/// targets. `cmyk` converts a picture with four components. The missing part of a truncated file is
/// grey, or less sharp if the picture has several scans.
pub(crate) fn images(
    file: &[u8],
    cmyk: &CmykConverter,
    targets: &[Target],
    required: (u32, u32),
    max_pixels: u64,
) -> Result<Vec<DynamicImage>, Unreadable> {
    let (reader, end) = FileReader::new(file);
    guarded(|| read(reader, &end, cmyk, targets, required, max_pixels))
        .map_err(|reason| end.explain(reason))
}

fn read(
    reader: FileReader<'_>,
    end: &EndOfFile,
    cmyk: &CmykConverter,
    targets: &[Target],
    required: (u32, u32),
    max_pixels: u64,
) -> Result<Vec<DynamicImage>, Unreadable> {
    let mut decoder = Decompress::new_reader(reader).map_err(|error| to_reason(&error))?;
    let edge = |edge: usize| u32::try_from(edge).map_err(|_| Unreadable::TooManyPixels);
    let size = (edge(decoder.width())?, edge(decoder.height())?);
    if u64::from(size.0) * u64::from(size.1) > max_pixels {
        return Err(Unreadable::TooManyPixels);
    }
    decoder.scale(scale(size, required));
    let (pixel, started) = match decoder.color_space() {
        ColorSpace::JCS_GRAYSCALE => (Pixel::Grey, decoder.grayscale()),
        ColorSpace::JCS_YCbCr | ColorSpace::JCS_RGB => (Pixel::Rgb, decoder.rgb()),
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => (
            Pixel::Cmyk(cmyk),
            decoder.to_colorspace(ColorSpace::JCS_CMYK),
        ),
        _ => return Err(Unreadable::Unknown),
    };
    let mut started = started.map_err(|error| to_reason(&error))?;
    let size = (edge(started.width())?, edge(started.height())?);
    let mut strips = Strips::new(
        size,
        pixel,
        targets
            .iter()
            .map(|target| (*target, target.crop_box(size))),
    );
    let (stride, mut has_rows) = (strips.stride(), false);
    while let Some(rows) = strips.next_rows() {
        started
            .read_scanlines_into(rows)
            .map_err(|error| to_reason(&error))?;
        has_rows = has_rows || !end.is_passed() || rows.chunks_exact(stride).any(is_decoded);
        if let Pixel::Cmyk(_) = pixel {
            // Adobe's programs write inverted ink values, and browsers expect that.
            for ink in rows {
                *ink = !*ink;
            }
        }
        strips.process_rows()?;
    }
    if has_rows {
        strips.images()
    } else {
        Err(Unreadable::CutOff)
    }
}

/// Returns whether a row has data to its end, judged by its last sample.
fn is_decoded(row: &[u8]) -> bool {
    row.last()
        .is_some_and(|sample| sample.abs_diff(FILL_SAMPLE) > 1)
}

/// Returns the smallest scale in eighths at which nothing has to be enlarged.
fn scale((width, height): (u32, u32), required: (u32, u32)) -> u8 {
    let at_least = |side: u32, numerator: u8, required: u32| {
        u64::from(side) * u64::from(numerator) >= u64::from(required) * 8
    };
    let is_enough = |numerator: &u8| {
        at_least(width, *numerator, required.0) && at_least(height, *numerator, required.1)
    };
    FAST_SCALES.into_iter().find(is_enough).unwrap_or(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_sufficient_scale_is_chosen() {
        for (size, required, numerator) in [
            ((4000, 3000), (1024, 768), 4),
            ((4000, 3000), (341, 256), 1),
            ((4000, 3000), (500, 375), 1),
            ((4000, 3000), (501, 375), 2),
            ((4000, 3000), (2001, 1501), 8),
            ((40, 30), (40, 30), 8),
        ] {
            assert_eq!(scale(size, required), numerator, "{size:?} {required:?}");
        }
    }
}
