//! TIFF 6.0: the first page of a file. `tiff` undoes compression and predictors; what samples mean is decided here, since
//! it returns wrong pixels for some files and refuses many others.

mod directory;
mod layout;
mod pixels;
mod reader;
#[cfg(test)]
mod tests;

use image::DynamicImage;
use image::metadata::Orientation;
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use crate::inks::Inks;
use crate::{Feature, Unreadable};
use layout::{Colours, Depth, Layout};
use reader::Reader;

/// What a file begins with, in both byte orders, and the same of `BigTIFF`.
const MAGICS: [[u8; 4]; 4] = [*b"II\x2a\0", *b"MM\0\x2a", *b"II\x2b\0", *b"MM\0\x2b"];

pub(crate) fn is_tiff(file: &[u8]) -> bool {
    MAGICS.iter().any(|magic| file.starts_with(magic))
}

/// A picture whose directory was read; nothing was allocated for its pixels.
pub(crate) struct Tiff<'a> {
    decoder: Decoder<Reader<'a>>,
    layout: Layout,
    /// Pixels.
    pub(crate) size: (u32, u32),
    pub(crate) orientation: Orientation,
    profile: Option<Vec<u8>>,
}

impl<'a> Tiff<'a> {
    /// Reads the first directory only.
    pub(crate) fn open(file: &'a [u8], max_allocation: u64) -> Result<Self, Unreadable> {
        let mut directory = directory::read(file)?;
        let reader = Reader::new(file, std::mem::take(&mut directory.patches));
        let mut limits = Limits::default();
        limits.decoding_buffer_size = usize::try_from(max_allocation).unwrap_or(usize::MAX);
        limits.intermediate_buffer_size = file.len();
        limits.ifd_value_size = file.len();
        let mut decoder = Decoder::new(reader)?.with_limits(limits);
        let layout = Layout::read(&mut decoder, &directory)?;
        let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).unwrap_or_default();
        let orientation = orientation.and_then(Orientation::from_exif);
        Ok(Self {
            size: decoder.dimensions()?,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            profile: decoder.get_tag_u8_vec(Tag::IccProfile).ok(),
            decoder,
            layout,
        })
    }

    /// Takes the ICC profile, unless it is one for inks: decoding applies that.
    pub(crate) fn take_profile(&mut self) -> Option<Vec<u8>> {
        if let Colours::Inks = self.layout.colours { None } else { self.profile.take() }
    }

    /// Returns the bytes of the picture, and those that decoding takes: samples, the picture that is made of them, copies
    /// that scaling makes, and a strip or tile with what its decoder holds.
    pub(crate) fn memory(&mut self) -> Result<(u64, u64), Unreadable> {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        let picture = pixels.saturating_mul(self.layout.bytes());
        let samples = u64::try_from(self.layout.kept()).unwrap_or(u64::MAX) * self.layout.sample_bytes();
        let samples = pixels.saturating_mul(samples);
        let chunk = self.decoder.image_chunk_buffer_layout(0)?.len;
        let chunk = u64::try_from(chunk).unwrap_or(u64::MAX);
        let all = picture.saturating_mul(3).saturating_add(samples).saturating_add(chunk.saturating_mul(3));
        Ok((picture.max(samples).max(chunk), all))
    }

    pub(crate) fn decode(mut self) -> Result<DynamicImage, Unreadable> {
        self.decoder.inner().is_reversed = self.layout.is_reversed;
        let inks = Inks::new(self.profile.as_deref());
        let picture = match self.layout.depth {
            Depth::Bits(bits) => {
                let samples = self.samples(|chunk, row| match chunk {
                    DecodingResult::U8(bytes) if bits == 8 => Some(bytes),
                    DecodingResult::U8(bytes) => Some(unpack(&bytes, row, bits)),
                    _ => None,
                })?;
                pixels::of_bytes(self.size, &self.layout, samples, &inks)
            }
            Depth::Sixteen => {
                let shorts =
                    |chunk, _| if let DecodingResult::U16(shorts) = chunk { Some(shorts) } else { None };
                let samples = self.samples(shorts)?;
                pixels::of_shorts(self.size, &self.layout, samples, &inks)
            }
            Depth::Float => {
                let floats =
                    |chunk, _| if let DecodingResult::F32(floats) = chunk { Some(floats) } else { None };
                let samples = self.samples(floats)?;
                pixels::of_floats(self.size, &self.layout, &samples)
            }
        };
        picture.ok_or(Unreadable::Damaged)
    }

    /// Reads the samples that are kept, pixel by pixel. `unwrap` takes a strip or tile and the samples of one of its rows.
    fn samples<T: Copy + Default>(
        &mut self,
        unwrap: impl Fn(DecodingResult, usize) -> Option<Vec<T>>,
    ) -> Result<Vec<T>, Unreadable> {
        let (width, height) = (length(self.size.0)?, length(self.size.1)?);
        let (chunk_width, chunk_height) = self.decoder.chunk_dimensions();
        let (across, down) = (self.size.0.div_ceil(chunk_width), self.size.1.div_ceil(chunk_height));
        let (chunk_width, chunk_height) = (length(chunk_width)?, length(chunk_height)?);
        let kept = self.layout.kept();
        let (planes, of_chunk) = if self.layout.is_planar { (kept, 1) } else { (1, self.layout.samples) };
        let mut samples = vec![T::default(); width * height * kept];
        let mut index = 0;
        for plane in 0..planes {
            for (row, column) in (0..length(down)?)
                .flat_map(|row| (0..length(across).unwrap_or(0)).map(move |column| (row, column)))
            {
                let wide = length(self.decoder.chunk_data_dimensions(index).0)?;
                let chunk = self.decoder.read_chunk(index)?;
                let chunk = unwrap(chunk, wide * of_chunk).ok_or(Unreadable::Damaged)?;
                let (top, left) = (row * chunk_height, column * chunk_width);
                for (y, from) in (top..height).zip(chunk.chunks_exact(wide * of_chunk)) {
                    let begin = (y * width + left) * kept;
                    let into = samples[begin..begin + wide * kept].chunks_exact_mut(kept);
                    for (pixel, from) in into.zip(from.chunks_exact(of_chunk)) {
                        if self.layout.is_planar {
                            pixel[plane] = from[0];
                        } else {
                            pixel.copy_from_slice(&from[..kept]);
                        }
                    }
                }
                index += 1;
            }
        }
        Ok(samples)
    }
}

/// Gives each sample of fewer than 8 bits a byte. Rows begin with a byte.
fn unpack(bytes: &[u8], row: usize, bits: u8) -> Vec<u8> {
    let of_byte = usize::from(8 / bits);
    let mask = (1 << bits) - 1;
    let rows = bytes.chunks_exact(row.div_ceil(of_byte).max(1));
    let samples = rows.flat_map(|bytes| {
        let samples =
            bytes.iter().flat_map(|byte| (1..=8 / bits).map(move |place| byte >> (8 - place * bits) & mask));
        samples.take(row)
    });
    samples.collect()
}

fn length(edge: u32) -> Result<usize, Unreadable> {
    usize::try_from(edge).map_err(|_| Unreadable::TooManyPixels)
}

impl From<TiffError> for Unreadable {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::UnsupportedError(_) => Self::Unsupported(Feature::TiffSamples),
            TiffError::LimitsExceeded => Self::TooMuchMemory,
            _ => Self::Damaged,
        }
    }
}
