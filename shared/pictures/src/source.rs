//! The file itself: what its header says, and its pixels once that was believed affordable.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::avif::Avif;
use crate::{Unreadable, jpeg, sniff};

/// What a decoder may allocate for one picture, in bytes.
const MAX_ALLOCATION: u64 = 512 * 1024 * 1024;

/// A picture whose header was read and found within the limits; nothing was allocated for its pixels.
pub(crate) struct Source<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    /// The file, where it is a JPEG.
    jpeg: Option<&'a [u8]>,
    /// Bytes that decoding takes in any case.
    at_least: u64,
    max_pixels: u64,
    pub(crate) orientation: Orientation,
    /// An ICC profile.
    pub(crate) profile: Option<Vec<u8>>,
    pub(crate) exif: Option<Vec<u8>>,
}

impl<'a> Source<'a> {
    /// Reads the header only.
    pub(crate) fn open(bytes: &'a [u8], max_pixels: u64) -> Result<Self, Unreadable> {
        if let Some(refusal) = sniff::refusal(bytes) {
            return Err(refusal);
        }
        if sniff::is_avif(bytes) {
            let avif = Avif::open(bytes)?;
            let memory = avif.memory();
            return Self::of(Box::new(avif), None, memory, max_pixels);
        }
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        let mut reader = reader.map_err(|_| Unreadable::Unknown)?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_ALLOCATION);
        reader.limits(limits);
        let jpeg = (reader.format() == Some(ImageFormat::Jpeg)).then_some(bytes);
        Self::of(Box::new(reader.into_decoder()?), jpeg, 0, max_pixels)
    }

    fn of(
        mut decoder: Box<dyn ImageDecoder + 'a>,
        jpeg: Option<&'a [u8]>,
        at_least: u64,
        max_pixels: u64,
    ) -> Result<Self, Unreadable> {
        let (width, height) = decoder.dimensions();
        if width == 0 || height == 0 {
            return Err(Unreadable::Damaged);
        }
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(Unreadable::TooManyPixels);
        }
        if decoder.total_bytes() > MAX_ALLOCATION {
            return Err(Unreadable::TooMuchMemory);
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let profile = decoder.icc_profile().unwrap_or_default();
        let exif = decoder.exif_metadata().unwrap_or_default();
        Ok(Self { decoder, jpeg, at_least, max_pixels, orientation, profile, exif })
    }

    /// Pixels, as they are stored.
    pub(crate) fn size(&self) -> (u32, u32) {
        self.decoder.dimensions()
    }

    /// The bytes that decoding will take, where `wanted` are the pixels that are needed.
    pub(crate) fn memory(&self, wanted: (u32, u32)) -> u64 {
        // Decoders hold about twice as much of their own: coefficients, planes, lines.
        let whole = self.decoder.total_bytes().saturating_mul(3).max(self.at_least);
        self.jpeg.map_or(whole, |_| whole.max(jpeg::memory(self.size(), wanted)))
    }

    /// The pixels: all of them, or where the format can do with less, no fewer than `wanted`.
    pub(crate) fn decode(self, wanted: (u32, u32)) -> Result<DynamicImage, Unreadable> {
        if let Some(file) = self.jpeg
            && let Some(picture) = jpeg::decode(file, wanted, self.max_pixels)?
        {
            return Ok(picture);
        }
        Ok(DynamicImage::from_decoder(self.decoder)?)
    }
}
