//! Reads the pixels of any JPEG by libjpeg-turbo.

use image::DynamicImage;
use mozjpeg::{ColorSpace, Decompress};

use super::{Header, broken, guarded};
use crate::Unreadable;
use crate::derive::Target;
use crate::file_reader::{End, FileReader};
use crate::inks::Inks;
use crate::strips::{Pixel, Strips};

/// Eighths at which the decoder is fast.
const SCALES: [u8; 4] = [1, 2, 4, 8];

/// What libjpeg makes of samples that a file does not have any more: grey.
const FILL: u8 = 128;

/// Bytes a pixel of the file that the decoder keeps of a picture in several scans.
const COEFFICIENTS: u64 = 6;

impl Header<'_> {
    /// The memory for so many images of a picture of which no less than this is wanted, in bytes.
    pub(crate) fn memory(&self, wanted: (u32, u32), images: u64) -> u64 {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        let kept = if self.is_in_one_scan {
            0
        } else {
            pixels.saturating_mul(COEFFICIENTS)
        };
        let numerator = u64::from(scale(self.size, wanted));
        let decoded = pixels.saturating_mul(numerator * numerator) / 64;
        // Its rows, where an image is so small that each of its own is made of all of them; and each image is as wide as
        // the picture at first.
        let decoded = decoded.saturating_mul(u64::from(self.components.max(3)));
        kept.saturating_add(decoded.saturating_mul(images.saturating_add(2)))
    }
}

/// Images of a picture, which is read no smaller than `wanted` where it is not smaller itself. `inks` converts a picture in
/// four of them. What is missing of a file that is cut off is grey, or less sharp if it comes in several scans.
pub(crate) fn images(
    file: &[u8],
    inks: &Inks,
    targets: &[Target],
    wanted: (u32, u32),
    max_pixels: u64,
) -> Result<Vec<DynamicImage>, Unreadable> {
    let (reader, end) = FileReader::new(file);
    guarded(|| read(reader, &end, inks, targets, wanted, max_pixels))
        .map_err(|reason| end.explain(reason))
}

fn read(
    reader: FileReader<'_>,
    end: &End,
    inks: &Inks,
    targets: &[Target],
    wanted: (u32, u32),
    max_pixels: u64,
) -> Result<Vec<DynamicImage>, Unreadable> {
    let mut decoder = Decompress::new_reader(reader).map_err(|error| broken(&error))?;
    let edge = |edge: usize| u32::try_from(edge).map_err(|_| Unreadable::TooManyPixels);
    let size = (edge(decoder.width())?, edge(decoder.height())?);
    if u64::from(size.0) * u64::from(size.1) > max_pixels {
        return Err(Unreadable::TooManyPixels);
    }
    decoder.scale(scale(size, wanted));
    let (pixel, started) = match decoder.color_space() {
        ColorSpace::JCS_GRAYSCALE => (Pixel::Grey, decoder.grayscale()),
        ColorSpace::JCS_YCbCr | ColorSpace::JCS_RGB => (Pixel::Rgb, decoder.rgb()),
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => (
            Pixel::Inks(inks),
            decoder.to_colorspace(ColorSpace::JCS_CMYK),
        ),
        _ => return Err(Unreadable::Unknown),
    };
    let mut started = started.map_err(|error| broken(&error))?;
    let size = (edge(started.width())?, edge(started.height())?);
    let mut strips = Strips::new(
        size,
        pixel,
        targets.iter().map(|target| (*target, target.shows(size))),
    );
    let (stride, mut has_rows) = (strips.stride(), false);
    while let Some(rows) = strips.room() {
        started
            .read_scanlines_into(rows)
            .map_err(|error| broken(&error))?;
        has_rows = has_rows || !end.is_passed() || rows.chunks_exact(stride).any(is_decoded);
        if let Pixel::Inks(_) = pixel {
            // As Adobe's programs write them, and as browsers read them: how much of an ink is left out.
            for ink in rows {
                *ink = !*ink;
            }
        }
        strips.develop()?;
    }
    if has_rows {
        strips.images()
    } else {
        Err(Unreadable::CutOff)
    }
}

/// Whether there is data for all of a row, as far as its last sample shows it.
fn is_decoded(row: &[u8]) -> bool {
    row.last().is_some_and(|sample| sample.abs_diff(FILL) > 1)
}

/// The smallest scale, in eighths, at which nothing has to be enlarged.
fn scale((width, height): (u32, u32), wanted: (u32, u32)) -> u8 {
    let at_least = |side: u32, numerator: u8, wanted: u32| {
        u64::from(side) * u64::from(numerator) >= u64::from(wanted) * 8
    };
    let enough = |numerator: &u8| {
        at_least(width, *numerator, wanted.0) && at_least(height, *numerator, wanted.1)
    };
    SCALES.into_iter().find(enough).unwrap_or(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_scale_that_is_large_enough_is_taken() {
        for (size, wanted, numerator) in [
            ((4000, 3000), (1024, 768), 4),
            ((4000, 3000), (341, 256), 1),
            ((4000, 3000), (500, 375), 1),
            ((4000, 3000), (501, 375), 2),
            ((4000, 3000), (2001, 1501), 8),
            ((40, 30), (40, 30), 8),
        ] {
            assert_eq!(scale(size, wanted), numerator, "{size:?} {wanted:?}");
        }
    }
}
