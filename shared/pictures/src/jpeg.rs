//! JPEGs, read and written by libjpeg-turbo. They are read at the smallest of its scales that is large enough: most of
//! the work of a camera's picture is in pixels that no derived image shows.

use std::any::Any;
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, GrayImage, RgbImage};
use mozjpeg::{ColorSpace, Compress, Decompress};
use plinth_domain::preset::Quality;

use crate::Unreadable;

/// Eighths at which the decoder is fast.
const SCALES: [u8; 4] = [1, 2, 4, 8];

/// From this quality on colours are written as finely as brightness.
const FINE_COLOURS: u8 = 90;

/// Bytes a pixel of the file that a progressive picture takes until it has been read to its end.
const COEFFICIENTS: u64 = 6;

/// The memory for a picture of which no less than this is wanted, in bytes.
pub(crate) fn memory(size: (u32, u32), wanted: (u32, u32)) -> u64 {
    let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let numerator = u64::from(scale(size, wanted));
    let decoded = pixels(size).saturating_mul(numerator * numerator) / 64;
    pixels(size).saturating_mul(COEFFICIENTS).saturating_add(decoded.saturating_mul(6))
}

/// The picture, no smaller than `wanted` where it is not smaller itself. `None` for colours that are not read here: the
/// four inks of printers.
pub(crate) fn decode(
    file: &[u8],
    wanted: (u32, u32),
    max_pixels: u64,
) -> Result<Option<DynamicImage>, Unreadable> {
    guarded(|| read(file, wanted, max_pixels))
}

/// The file of a picture, with codes that are made for it (a hundredth smaller, as sharp's are).
pub(crate) fn encode(picture: &RgbImage, quality: Quality) -> Result<Vec<u8>, Unreadable> {
    guarded(|| write(picture, quality).map_err(|error| broken(&error)))
}

fn write(picture: &RgbImage, quality: Quality) -> io::Result<Vec<u8>> {
    let edge = |edge: u32| usize::try_from(edge).map_err(io::Error::other);
    let mut encoder = Compress::new(ColorSpace::JCS_RGB);
    // libjpeg-turbo's: mozjpeg's own make smaller files in ten times the time.
    encoder.set_fastest_defaults();
    encoder.set_size(edge(picture.width())?, edge(picture.height())?);
    encoder.set_quality(quality.get().into());
    encoder.set_optimize_coding(true);
    if quality.get() >= FINE_COLOURS {
        encoder.set_chroma_sampling_pixel_sizes((1, 1), (1, 1));
    }
    let mut started = encoder.start_compress(Vec::new())?;
    started.write_scanlines(picture)?;
    started.finish()
}

/// libjpeg's way to say that something is wrong is to unwind.
fn guarded<T>(work: impl FnOnce() -> Result<T, Unreadable>) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|words| Err(meaning(&*words)))
}

fn read(file: &[u8], wanted: (u32, u32), max_pixels: u64) -> Result<Option<DynamicImage>, Unreadable> {
    let ran_dry = Cell::new(false);
    let mut decoder =
        Decompress::new_reader(Watched { rest: file, ran_dry: &ran_dry }).map_err(|error| broken(&error))?;
    let edge = |edge: usize| u32::try_from(edge).map_err(|_| Unreadable::TooManyPixels);
    let size = (edge(decoder.width())?, edge(decoder.height())?);
    if u64::from(size.0) * u64::from(size.1) > max_pixels {
        return Err(Unreadable::TooManyPixels);
    }
    decoder.scale(scale(size, wanted));
    let grey = match decoder.color_space() {
        ColorSpace::JCS_GRAYSCALE => true,
        ColorSpace::JCS_YCbCr | ColorSpace::JCS_RGB => false,
        _ => return Ok(None),
    };
    let mut started =
        if grey { decoder.grayscale() } else { decoder.rgb() }.map_err(|error| broken(&error))?;
    let (width, height) = (edge(started.width())?, edge(started.height())?);
    let pixels: Vec<u8> = started.read_scanlines().map_err(|error| broken(&error))?;
    // It fills with grey what is not there.
    if ran_dry.get() {
        return Err(Unreadable::Damaged);
    }
    let picture = if grey {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    picture.map(Some).ok_or(Unreadable::Damaged)
}

/// The smallest scale, in eighths, at which nothing has to be enlarged.
fn scale((width, height): (u32, u32), wanted: (u32, u32)) -> u8 {
    let at_least = |side: u32, numerator: u8, wanted: u32| {
        u64::from(side) * u64::from(numerator) >= u64::from(wanted) * 8
    };
    let enough =
        |numerator: &u8| at_least(width, *numerator, wanted.0) && at_least(height, *numerator, wanted.1);
    SCALES.into_iter().find(enough).unwrap_or(8)
}

fn broken(error: &io::Error) -> Unreadable {
    if error.kind() == io::ErrorKind::OutOfMemory { Unreadable::TooMuchMemory } else { Unreadable::Damaged }
}

/// What libjpeg said when it gave up.
fn meaning(words: &(dyn Any + Send)) -> Unreadable {
    match words.downcast_ref::<String>() {
        Some(words) if words.contains("Insufficient memory") => Unreadable::TooMuchMemory,
        _ => Unreadable::Damaged,
    }
}

/// The file, and whether more of it was wanted than there is.
struct Watched<'a> {
    rest: &'a [u8],
    ran_dry: &'a Cell<bool>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest.read(buffer)
    }
}

impl BufRead for Watched<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.ran_dry.set(true);
        }
        Ok(self.rest)
    }

    fn consume(&mut self, amount: usize) {
        self.rest.consume(amount);
    }
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
