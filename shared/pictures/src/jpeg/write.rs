//! Encoding of JPEGs.

use std::io;

use image::RgbImage;
use mozjpeg::{ColorSpace, Compress};
use plinth_domain::preset::Quality;

use super::{guarded, to_reason};
use crate::Unreadable;

/// From this quality on, colours are stored at full resolution.
const FULL_CHROMA_QUALITY: u8 = 90;

/// Encodes a picture with optimized Huffman codes, as sharp does (one percent smaller).
pub(crate) fn encode(picture: &RgbImage, quality: Quality) -> Result<Vec<u8>, Unreadable> {
    guarded(|| write(picture, quality).map_err(|error| to_reason(&error)))
}

fn write(picture: &RgbImage, quality: Quality) -> io::Result<Vec<u8>> {
    let edge = |edge: u32| usize::try_from(edge).map_err(io::Error::other);
    let mut encoder = Compress::new(ColorSpace::JCS_RGB);
    // libjpeg-turbo's defaults: mozjpeg's make smaller files in ten times the time.
    encoder.set_fastest_defaults();
    encoder.set_size(edge(picture.width())?, edge(picture.height())?);
    encoder.set_quality(quality.get().into());
    encoder.set_optimize_coding(true);
    if quality.get() >= FULL_CHROMA_QUALITY {
        encoder.set_chroma_sampling_pixel_sizes((1, 1), (1, 1));
    }
    let mut started = encoder.start_compress(Vec::new())?;
    started.write_scanlines(picture)?;
    started.finish()
}
