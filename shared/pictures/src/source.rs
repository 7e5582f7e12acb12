//! The file itself: what its header says, and its images once that was believed affordable.

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::avif::Avif;
use crate::colour::Profile;
use crate::derive::{Target, scalable, scale};
use crate::file_reader::{End, FileReader};
use crate::gif::{self, Gif};
use crate::inks::Inks;
use crate::jpeg::segments::EXIF;
use crate::png::{self, Png};
use crate::tiff::{Tiff, is_tiff};
use crate::{Feature, Unreadable, jpeg, sniff};

/// What a decoder may allocate for one picture, in bytes.
const MAX_ALLOCATION: u64 = 512 * 1024 * 1024;

/// A picture whose header was read and found within the limits; nothing was allocated for its pixels.
pub(crate) struct Source<'a> {
    pixels: Pixels<'a>,
    max_pixels: u64,
    pub(crate) orientation: Orientation,
    /// Of pixels that are grey or coloured; `None` for sRGB.
    pub(crate) profile: Option<Profile>,
    /// A TIFF header and what follows.
    pub(crate) exif: Option<Vec<u8>>,
}

enum Pixels<'a> {
    Jpeg {
        file: &'a [u8],
        header: jpeg::Header<'a>,
        /// The ICC profile of a picture in inks.
        of_inks: Option<Vec<u8>>,
    },
    Png(Box<Png<'a>>),
    Gif(Box<Gif<'a>>),
    Tiff {
        tiff: Box<Tiff<'a>>,
        /// Bytes that decoding takes.
        memory: u64,
    },
    Other {
        decoder: Box<dyn ImageDecoder + 'a>,
        /// Bytes that decoding takes in any case.
        at_least: u64,
        end: End,
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
            if matches!(header.components, 1 | 3 | 4) {
                return Self::jpeg(file, header, max_pixels);
            }
        }
        if sniff::is_avif(file) {
            let avif = Avif::open(file)?;
            let memory = avif.memory();
            return Self::other(Box::new(avif), memory, End::default(), max_pixels);
        }
        if is_tiff(file) {
            return Self::tiff(file, max_pixels);
        }
        if file.starts_with(&png::SIGNATURE) {
            return Self::png(file, max_pixels);
        }
        if file.starts_with(gif::MAGIC) {
            return Self::gif(file, max_pixels);
        }
        let (reader, end) = FileReader::new(file);
        let reader = ImageReader::new(reader).with_guessed_format();
        let mut reader = reader.map_err(|_| Unreadable::Unknown)?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_ALLOCATION);
        reader.limits(limits);
        let decoder = reader
            .into_decoder()
            .map_err(|error| match end.explain(error.into()) {
                Unreadable::Unknown if sniff::is_os2_bmp(file) => {
                    Unreadable::Unsupported(Feature::Os2Bmp)
                }
                reason => reason,
            })?;
        let mut source = Self::other(Box::new(decoder), 0, end, max_pixels)?;
        // `image` expects no prefix before the TIFF header.
        if let Some(orientation) = source
            .exif
            .as_deref()
            .and_then(Orientation::from_exif_chunk)
        {
            source.orientation = orientation;
        }
        Ok(source)
    }

    fn jpeg(
        file: &'a [u8],
        mut header: jpeg::Header<'a>,
        max_pixels: u64,
    ) -> Result<Self, Unreadable> {
        within(header.size, max_pixels)?;
        let profile = header.profile.take();
        let (profile, of_inks) = if header.components == 4 {
            (None, profile)
        } else {
            (profile, None)
        };
        let orientation = header.exif.and_then(Orientation::from_exif_chunk);
        let file = if header.is_in_one_scan {
            file
        } else {
            jpeg::without_torn_segment(file)
        };
        Ok(Self {
            max_pixels,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            profile: profile.as_deref().and_then(Profile::read),
            exif: header.exif.map(<[u8]>::to_vec),
            pixels: Pixels::Jpeg {
                file,
                header,
                of_inks,
            },
        })
    }

    fn png(file: &'a [u8], max_pixels: u64) -> Result<Self, Unreadable> {
        let png = Png::open(file, MAX_ALLOCATION)?;
        within(png.size(), max_pixels)?;
        if png.length() > MAX_ALLOCATION {
            return Err(Unreadable::TooMuchMemory);
        }
        let exif = png.exif().map(<[u8]>::to_vec).map(without_prefix);
        let orientation = exif.as_deref().and_then(Orientation::from_exif_chunk);
        Ok(Self {
            max_pixels,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            profile: png::profile(file, png.icc_profile().and_then(Profile::read)),
            exif,
            pixels: Pixels::Png(Box::new(png)),
        })
    }

    fn gif(file: &'a [u8], max_pixels: u64) -> Result<Self, Unreadable> {
        let gif = Gif::open(file)?;
        within(gif.size(), max_pixels)?;
        Ok(Self {
            max_pixels,
            orientation: Orientation::NoTransforms,
            profile: gif.icc_profile().and_then(Profile::read),
            exif: None,
            pixels: Pixels::Gif(Box::new(gif)),
        })
    }

    fn tiff(file: &'a [u8], max_pixels: u64) -> Result<Self, Unreadable> {
        let mut tiff = Tiff::open(file, MAX_ALLOCATION)?;
        within(tiff.size, max_pixels)?;
        let (largest, memory) = tiff.memory()?;
        if largest > MAX_ALLOCATION {
            return Err(Unreadable::TooMuchMemory);
        }
        Ok(Self {
            max_pixels,
            orientation: tiff.orientation,
            profile: tiff.take_profile().as_deref().and_then(Profile::read),
            exif: None,
            pixels: Pixels::Tiff {
                tiff: Box::new(tiff),
                memory,
            },
        })
    }

    fn other(
        mut decoder: Box<dyn ImageDecoder + 'a>,
        at_least: u64,
        end: End,
        max_pixels: u64,
    ) -> Result<Self, Unreadable> {
        within(decoder.dimensions(), max_pixels)?;
        if decoder.total_bytes() > MAX_ALLOCATION {
            return Err(Unreadable::TooMuchMemory);
        }
        Ok(Self {
            max_pixels,
            orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
            profile: decoder
                .icc_profile()
                .unwrap_or_default()
                .as_deref()
                .and_then(Profile::read),
            exif: decoder
                .exif_metadata()
                .unwrap_or_default()
                .map(without_prefix),
            pixels: Pixels::Other {
                decoder,
                at_least,
                end,
            },
        })
    }

    /// Pixels, as they are stored.
    pub(crate) fn size(&self) -> (u32, u32) {
        match &self.pixels {
            Pixels::Jpeg { header, .. } => header.size,
            Pixels::Png(png) => png.size(),
            Pixels::Gif(gif) => gif.size(),
            Pixels::Tiff { tiff, .. } => tiff.size,
            Pixels::Other { decoder, .. } => decoder.dimensions(),
        }
    }

    /// The bytes that decoding will take, where `wanted` are the pixels that are needed, for so many images.
    pub(crate) fn memory(&self, wanted: (u32, u32), images: u64) -> u64 {
        match &self.pixels {
            Pixels::Jpeg { header, .. } => header.memory(wanted, images),
            Pixels::Tiff { memory, .. } => *memory,
            // Where rows are missing, the picture is copied to get transparency.
            Pixels::Png(png) => png.length().saturating_mul(3),
            Pixels::Gif(gif) => gif.length().saturating_mul(3),
            // Decoders hold about twice as much of their own: coefficients, planes, lines.
            Pixels::Other {
                decoder, at_least, ..
            } => decoder.total_bytes().saturating_mul(3).max(*at_least),
        }
    }

    /// These images of it, made of all pixels or where the format can do with less, of no fewer than `wanted`.
    pub(crate) fn images(
        self,
        targets: &[Target],
        wanted: (u32, u32),
    ) -> Result<Vec<DynamicImage>, Unreadable> {
        match self.pixels {
            Pixels::Jpeg { file, of_inks, .. } => {
                let inks = Inks::new(of_inks.as_deref());
                jpeg::images(file, &inks, targets, wanted, self.max_pixels)
            }
            Pixels::Tiff { tiff, .. } => scaled(tiff.decode()?, targets),
            Pixels::Png(png) => scaled(png.decode()?, targets),
            Pixels::Gif(gif) => scaled(gif.decode()?, targets),
            Pixels::Other { decoder, end, .. } => {
                let picture = DynamicImage::from_decoder(decoder);
                scaled(picture.map_err(|error| end.explain(error.into()))?, targets)
            }
        }
    }
}

fn scaled(picture: DynamicImage, targets: &[Target]) -> Result<Vec<DynamicImage>, Unreadable> {
    let picture = scalable(picture);
    targets
        .iter()
        .map(|target| scale(&picture, *target))
        .collect()
}

/// Removes what EXIF begins with in a JPEG. Some programs write it into PNG, WebP and AVIF, too, where it does not belong.
fn without_prefix(mut exif: Vec<u8>) -> Vec<u8> {
    if exif.starts_with(EXIF) {
        exif.drain(..EXIF.len());
    }
    exif
}

fn within((width, height): (u32, u32), max_pixels: u64) -> Result<(), Unreadable> {
    if width == 0 || height == 0 {
        return Err(Unreadable::Damaged);
    }
    if u64::from(width) * u64::from(height) > max_pixels {
        Err(Unreadable::TooManyPixels)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, RgbImage};

    use super::*;

    /// EXIF with nothing but orientation 6.
    const TURNED: &[u8] = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

    fn encode(format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        RgbImage::new(4, 2)
            .write_to(&mut file, format)
            .expect("encodes");
        file.into_inner()
    }

    fn png(exif: &[u8]) -> Vec<u8> {
        let file = encode(ImageFormat::Png);
        let summed = [b"eXIf", exif].concat();
        let length = u32::try_from(exif.len()).expect("short").to_be_bytes();
        [
            &file[..33],
            &length,
            &summed,
            &crc32fast::hash(&summed).to_be_bytes(),
            &file[33..],
        ]
        .concat()
    }

    fn webp(exif: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("short").to_le_bytes();
        let extended = b"VP8X\x0a\0\0\0\x08\0\0\0\x03\0\0\x01\0\0";
        let file = encode(ImageFormat::WebP);
        let body = [
            b"WEBP",
            &extended[..],
            &file[12..],
            b"EXIF",
            &length(exif),
            exif,
        ]
        .concat();
        [b"RIFF", &length(&body)[..], &body].concat()
    }

    #[test]
    fn exif_with_the_prefix_of_jpeg_turns_png_and_webp() {
        for exif in [TURNED.to_vec(), [EXIF, TURNED].concat()] {
            for file in [png(&exif), webp(&exif)] {
                let source = Source::open(&file, 100).expect("opens");
                assert_eq!(source.orientation, Orientation::Rotate90);
                assert_eq!(source.exif.as_deref(), Some(TURNED));
            }
        }
    }
}
