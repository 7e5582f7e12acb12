//! A source file: its header, and its pixels after the limits were checked.

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::avif::Avif;
use crate::cmyk::CmykConverter;
use crate::colour::Profile;
use crate::derive::{Target, scale, to_scalable};
use crate::file_reader::{EndOfFile, FileReader};
use crate::gif::{self, Gif};
use crate::jpeg::segments::EXIF;
use crate::png::{self, Png};
use crate::tiff::{Tiff, is_tiff};
use crate::{Feature, Unreadable, jpeg, sniff};

/// Maximum bytes that a decoder may allocate for one picture.
const MAX_ALLOCATION_BYTES: u64 = 512 * 1024 * 1024;

/// A picture whose header was read and is within the limits. No memory is allocated for its pixels
/// yet.
pub(crate) struct Source<'a> {
    pixels: Pixels<'a>,
    max_pixels: u64,
    pub(crate) orientation: Orientation,
    /// The profile of greyscale or RGB pixels; `None` for sRGB.
    pub(crate) profile: Option<Profile>,
    /// EXIF data: a TIFF header and what follows it.
    pub(crate) exif: Option<Vec<u8>>,
}

enum Pixels<'a> {
    Jpeg {
        file: &'a [u8],
        header: jpeg::Header<'a>,
        /// The ICC profile of a CMYK picture.
        cmyk_profile: Option<Vec<u8>>,
    },
    Png(Box<Png<'a>>),
    Gif(Box<Gif<'a>>),
    Tiff {
        tiff: Box<Tiff<'a>>,
        /// Memory for decoding, in bytes.
        memory: u64,
    },
    Other {
        decoder: Box<dyn ImageDecoder + 'a>,
        /// Minimum memory for decoding, in bytes.
        min_memory: u64,
        end: EndOfFile,
    },
}

impl<'a> Source<'a> {
    /// Opens a file, and reads only its header.
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
            return Self::other(Box::new(avif), memory, EndOfFile::default(), max_pixels);
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
        limits.max_alloc = Some(MAX_ALLOCATION_BYTES);
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
        // `image` does not skip the prefix before the TIFF header.
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
        check_size(header.size, max_pixels)?;
        let profile = header.profile.take();
        let (profile, cmyk_profile) = if header.components == 4 {
            (None, profile)
        } else {
            (profile, None)
        };
        let orientation = header.exif.and_then(Orientation::from_exif_chunk);
        let file = if header.is_in_one_scan {
            file
        } else {
            jpeg::before_truncated_segment(file)
        };
        Ok(Self {
            max_pixels,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            profile: profile.as_deref().and_then(Profile::parse),
            exif: header.exif.map(<[u8]>::to_vec),
            pixels: Pixels::Jpeg {
                file,
                header,
                cmyk_profile,
            },
        })
    }

    fn png(file: &'a [u8], max_pixels: u64) -> Result<Self, Unreadable> {
        let png = Png::open(file, MAX_ALLOCATION_BYTES)?;
        check_size(png.size(), max_pixels)?;
        if png.decoded_bytes() > MAX_ALLOCATION_BYTES {
            return Err(Unreadable::TooMuchMemory);
        }
        let exif = png.exif().map(<[u8]>::to_vec).map(without_prefix);
        let orientation = exif.as_deref().and_then(Orientation::from_exif_chunk);
        Ok(Self {
            max_pixels,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            profile: png::profile(file, png.icc_profile().and_then(Profile::parse)),
            exif,
            pixels: Pixels::Png(Box::new(png)),
        })
    }

    fn gif(file: &'a [u8], max_pixels: u64) -> Result<Self, Unreadable> {
        let gif = Gif::open(file)?;
        check_size(gif.size(), max_pixels)?;
        Ok(Self {
            max_pixels,
            orientation: Orientation::NoTransforms,
            profile: gif.icc_profile().and_then(Profile::parse),
            exif: None,
            pixels: Pixels::Gif(Box::new(gif)),
        })
    }

    fn tiff(file: &'a [u8], max_pixels: u64) -> Result<Self, Unreadable> {
        let mut tiff = Tiff::open(file, MAX_ALLOCATION_BYTES)?;
        check_size(tiff.size, max_pixels)?;
        let (largest, memory) = tiff.memory()?;
        if largest > MAX_ALLOCATION_BYTES {
            return Err(Unreadable::TooMuchMemory);
        }
        Ok(Self {
            max_pixels,
            orientation: tiff.orientation,
            profile: tiff.take_profile().as_deref().and_then(Profile::parse),
            exif: None,
            pixels: Pixels::Tiff {
                tiff: Box::new(tiff),
                memory,
            },
        })
    }

    fn other(
        mut decoder: Box<dyn ImageDecoder + 'a>,
        min_memory: u64,
        end: EndOfFile,
        max_pixels: u64,
    ) -> Result<Self, Unreadable> {
        check_size(decoder.dimensions(), max_pixels)?;
        if decoder.total_bytes() > MAX_ALLOCATION_BYTES {
            return Err(Unreadable::TooMuchMemory);
        }
        Ok(Self {
            max_pixels,
            orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
            profile: decoder
                .icc_profile()
                .unwrap_or_default()
                .as_deref()
                .and_then(Profile::parse),
            exif: decoder
                .exif_metadata()
                .unwrap_or_default()
                .map(without_prefix),
            pixels: Pixels::Other {
                decoder,
                min_memory,
                end,
            },
        })
    }

    /// Returns width and height in pixels as stored, before rotation.
    pub(crate) fn size(&self) -> (u32, u32) {
        match &self.pixels {
            Pixels::Jpeg { header, .. } => header.size,
            Pixels::Png(png) => png.size(),
            Pixels::Gif(gif) => gif.size(),
            Pixels::Tiff { tiff, .. } => tiff.size,
            Pixels::Other { decoder, .. } => decoder.dimensions(),
        }
    }

    /// Returns the memory for decoding in bytes, if at least `required` pixels are decoded for this
    /// number of images.
    pub(crate) fn memory(&self, required: (u32, u32), images: u64) -> u64 {
        match &self.pixels {
            Pixels::Jpeg { header, .. } => header.memory(required, images),
            Pixels::Tiff { memory, .. } => *memory,
            // If rows are missing, the picture is copied to add transparency.
            Pixels::Png(png) => png.decoded_bytes().saturating_mul(3),
            Pixels::Gif(gif) => gif.decoded_bytes().saturating_mul(3),
            // Decoders hold about twice as much in addition: coefficients, planes, lines.
            Pixels::Other {
                decoder,
                min_memory,
                ..
            } => decoder.total_bytes().saturating_mul(3).max(*min_memory),
        }
    }

    /// Decodes and scales these images. If the format can decode at a smaller scale, at least
    /// `required` pixels are decoded.
    pub(crate) fn images(
        self,
        targets: &[Target],
        required: (u32, u32),
    ) -> Result<Vec<DynamicImage>, Unreadable> {
        match self.pixels {
            Pixels::Jpeg {
                file, cmyk_profile, ..
            } => {
                let cmyk = CmykConverter::new(cmyk_profile.as_deref());
                jpeg::images(file, &cmyk, targets, required, self.max_pixels)
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
    let picture = to_scalable(picture);
    targets
        .iter()
        .map(|target| scale(&picture, *target))
        .collect()
}

/// Removes the prefix of EXIF in JPEG, which some programs also write into PNG, WebP and AVIF.
fn without_prefix(mut exif: Vec<u8>) -> Vec<u8> {
    if exif.starts_with(EXIF) {
        exif.drain(..EXIF.len());
    }
    exif
}

fn check_size((width, height): (u32, u32), max_pixels: u64) -> Result<(), Unreadable> {
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

    /// EXIF data with only orientation 6.
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
    fn exif_with_the_jpeg_prefix_rotates_png_and_webp() {
        for exif in [TURNED.to_vec(), [EXIF, TURNED].concat()] {
            for file in [png(&exif), webp(&exif)] {
                let source = Source::open(&file, 100).expect("opens");
                assert_eq!(source.orientation, Orientation::Rotate90);
                assert_eq!(source.exif.as_deref(), Some(TURNED));
            }
        }
    }
}
