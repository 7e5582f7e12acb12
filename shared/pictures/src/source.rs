//! The file itself: what its header says, and its images once that was believed affordable.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::avif::Avif;
use crate::derive::{Target, scalable, scale};
use crate::{Unreadable, jpeg, sniff};

/// What a decoder may allocate for one picture, in bytes.
const MAX_ALLOCATION: u64 = 512 * 1024 * 1024;

/// A picture whose header was read and found within the limits; nothing was allocated for its pixels.
pub(crate) struct Source<'a> {
    pixels: Pixels<'a>,
    max_pixels: u64,
    pub(crate) orientation: Orientation,
    /// An ICC profile.
    pub(crate) profile: Option<Vec<u8>>,
    /// A TIFF header and what follows.
    pub(crate) exif: Option<Vec<u8>>,
}

enum Pixels<'a> {
    Jpeg {
        file: &'a [u8],
        header: jpeg::Header<'a>,
    },
    Other {
        decoder: Box<dyn ImageDecoder + 'a>,
        /// Bytes that decoding takes in any case.
        at_least: u64,
    },
}

impl<'a> Source<'a> {
    /// Reads the header only.
    pub(crate) fn open(file: &'a [u8], max_pixels: u64) -> Result<Self, Unreadable> {
        if let Some(refusal) = sniff::refusal(file) {
            return Err(refusal);
        }
        if file.starts_with(&jpeg::MAGIC) {
            let header = jpeg::Header::read(file)?;
            // The inks of printers are for the other library.
            if matches!(header.components, 1 | 3) {
                return Self::jpeg(file, header, max_pixels);
            }
        }
        if sniff::is_avif(file) {
            let avif = Avif::open(file)?;
            let memory = avif.memory();
            return Self::other(Box::new(avif), memory, max_pixels);
        }
        let reader = ImageReader::new(Cursor::new(file)).with_guessed_format();
        let mut reader = reader.map_err(|_| Unreadable::Unknown)?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_ALLOCATION);
        reader.limits(limits);
        Self::other(Box::new(reader.into_decoder()?), 0, max_pixels)
    }

    fn jpeg(file: &'a [u8], mut header: jpeg::Header<'a>, max_pixels: u64) -> Result<Self, Unreadable> {
        within(header.size, max_pixels)?;
        let orientation = header.exif.and_then(Orientation::from_exif_chunk);
        Ok(Self {
            max_pixels,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            profile: header.profile.take(),
            exif: header.exif.map(<[u8]>::to_vec),
            pixels: Pixels::Jpeg { file, header },
        })
    }

    fn other(
        mut decoder: Box<dyn ImageDecoder + 'a>,
        at_least: u64,
        max_pixels: u64,
    ) -> Result<Self, Unreadable> {
        within(decoder.dimensions(), max_pixels)?;
        if decoder.total_bytes() > MAX_ALLOCATION {
            return Err(Unreadable::TooMuchMemory);
        }
        Ok(Self {
            max_pixels,
            orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
            profile: decoder.icc_profile().unwrap_or_default(),
            exif: decoder.exif_metadata().unwrap_or_default(),
            pixels: Pixels::Other { decoder, at_least },
        })
    }

    /// Pixels, as they are stored.
    pub(crate) fn size(&self) -> (u32, u32) {
        match &self.pixels {
            Pixels::Jpeg { header, .. } => header.size,
            Pixels::Other { decoder, .. } => decoder.dimensions(),
        }
    }

    /// The bytes that decoding will take, where `wanted` are the pixels that are needed, for so many images.
    pub(crate) fn memory(&self, wanted: (u32, u32), images: u64) -> u64 {
        match &self.pixels {
            Pixels::Jpeg { header, .. } => header.memory(wanted, images),
            // Decoders hold about twice as much of their own: coefficients, planes, lines.
            Pixels::Other { decoder, at_least } => decoder.total_bytes().saturating_mul(3).max(*at_least),
        }
    }

    /// These images of it, made of all pixels or where the format can do with less, of no fewer than `wanted`.
    pub(crate) fn images(
        self,
        targets: &[Target],
        wanted: (u32, u32),
    ) -> Result<Vec<DynamicImage>, Unreadable> {
        match self.pixels {
            Pixels::Jpeg { file, .. } => jpeg::images(file, targets, wanted, self.max_pixels),
            Pixels::Other { decoder, .. } => {
                let picture = scalable(DynamicImage::from_decoder(decoder)?);
                targets.iter().map(|target| scale(&picture, *target)).collect()
            }
        }
    }
}

fn within((width, height): (u32, u32), max_pixels: u64) -> Result<(), Unreadable> {
    if width == 0 || height == 0 {
        return Err(Unreadable::Damaged);
    }
    if u64::from(width) * u64::from(height) > max_pixels { Err(Unreadable::TooManyPixels) } else { Ok(()) }
}
