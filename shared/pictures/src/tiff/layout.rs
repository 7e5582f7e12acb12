//! The meaning of a pixel's samples.

use tiff::decoder::Decoder;
use tiff::tags::{SampleFormat, Tag};

use super::directory::Directory;
use super::fax::Fax;
use super::reader::Reader;
use crate::{Feature, Unreadable};

pub(super) enum Colours {
    Grey {
        is_white_zero: bool,
    },
    Rgb,
    /// The colour table, which a sample indexes.
    Palette(Vec<[u8; 3]>),
    /// Cyan, magenta, yellow and black.
    Cmyk,
    /// The colours of JPEG within TIFF.
    YCbCr,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    Straight,
    /// Colours are stored multiplied by alpha.
    Associated,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// This number of bits, at most 8.
    Bits(u8),
    Sixteen,
    Float,
}

pub(super) struct Layout {
    pub(super) colours: Colours,
    pub(super) alpha: Alpha,
    pub(super) depth: Depth,
    /// Samples of a pixel in the file: its colours, its alpha, and others, which are dropped.
    pub(super) samples: usize,
    /// Whether the samples of all pixels are stored in separate planes.
    pub(super) is_planar: bool,
    /// Whether the bits of each byte are stored in reverse.
    pub(super) is_reversed: bool,
    /// The encoding of rows, if the picture is a fax.
    pub(super) fax: Option<Fax>,
}

const JPEG: u16 = 7;

/// Compressions of fax (TIFF 6.0, sections 10 and 11).
const HUFFMAN: u16 = 2;
const GROUP_3: u16 = 3;
const GROUP_4: u16 = 4;

/// `T4Options`, and its bit for two-dimensional rows.
const T4_OPTIONS: Tag = Tag::Unknown(292);
const TWO_DIMENSIONAL: u32 = 1;

/// `InkSet`, for which `tiff` has no name.
const INK_SET: Tag = Tag::Unknown(332);

impl Layout {
    pub(super) fn read(
        decoder: &mut Decoder<Reader<'_>>,
        directory: &Directory,
    ) -> Result<Self, Unreadable> {
        let mut first = |tag, default: u16| -> Result<u16, Unreadable> {
            let values = decoder.find_tag_unsigned_vec(tag)?;
            Ok(values
                .and_then(|values| values.first().copied())
                .unwrap_or(default))
        };
        let compression = first(Tag::Compression, 1)?;
        let samples = first(Tag::SamplesPerPixel, 1)?;
        let bits = first(Tag::BitsPerSample, 1)?;
        let format = SampleFormat::from_u16(first(Tag::SampleFormat, 1)?);
        let is_planar = first(Tag::PlanarConfiguration, 1)? == 2;
        let is_reversed = first(Tag::FillOrder, 1)? == 2 && compression != JPEG;
        let ink_set = first(INK_SET, 1)?;
        let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?;
        check_compression(compression)?;
        let fax = match compression {
            HUFFMAN => Some(Fax::Huffman),
            GROUP_3 => {
                let options = decoder
                    .find_tag_unsigned::<u32>(T4_OPTIONS)?
                    .unwrap_or_default();
                Some(Fax::Group3 {
                    is_two_dimensional: options & TWO_DIMENSIONAL != 0,
                })
            }
            GROUP_4 => Some(Fax::Group4),
            _ => None,
        };
        let depth = match (format, bits) {
            (Some(SampleFormat::Uint | SampleFormat::Void), 1 | 2 | 4 | 8) => {
                Depth::Bits(u8::try_from(bits).unwrap_or(8))
            }
            (Some(SampleFormat::Uint | SampleFormat::Void), 16) => Depth::Sixteen,
            (Some(SampleFormat::IEEEFP), 32) => Depth::Float,
            _ => return Err(Unreadable::Unsupported(Feature::TiffSamples)),
        };
        let is_bytes = depth != Depth::Float && depth != Depth::Sixteen;
        let colours = match directory.interpretation {
            0 | 1 => Colours::Grey {
                is_white_zero: directory.interpretation == 0,
            },
            2 => Colours::Rgb,
            3 if is_bytes => Colours::Palette(palette(decoder, bits)?),
            5 if ink_set == 1 && depth != Depth::Float => Colours::Cmyk,
            6 if compression == JPEG && is_bytes && !is_planar => Colours::YCbCr,
            _ => return Err(Unreadable::Unsupported(Feature::TiffColours)),
        };
        let samples = usize::from(samples);
        let colour_samples = colours.samples();
        let others = samples
            .checked_sub(colour_samples)
            .ok_or(Unreadable::Damaged)?;
        let alpha = match extra.as_deref() {
            Some([1, ..]) if others > 0 => Alpha::Associated,
            Some([2, ..]) if others > 0 => Alpha::Straight,
            None if others == 1 && matches!(colours, Colours::Rgb) => Alpha::Straight,
            _ => Alpha::None,
        };
        if samples > 1 && matches!(depth, Depth::Bits(1..=7))
            || matches!(&colours, Colours::Palette(_)) && others > 0
            || fax.is_some() && (samples > 1 || depth != Depth::Bits(1))
        {
            return Err(Unreadable::Unsupported(Feature::TiffSamples));
        }
        Ok(Self {
            colours,
            alpha,
            depth,
            samples,
            is_planar,
            is_reversed,
            fax,
        })
    }

    /// Returns the number of samples of a pixel that are kept.
    pub(super) fn kept_samples(&self) -> usize {
        self.colours.samples() + usize::from(self.alpha != Alpha::None)
    }

    /// Returns the bytes of a pixel of the decoded picture.
    pub(super) fn pixel_bytes(&self) -> u64 {
        let colours = match (&self.colours, self.depth) {
            (Colours::Grey { .. }, Depth::Bits(_) | Depth::Sixteen) => 1,
            _ => 3,
        };
        let channels = colours + u64::from(self.alpha != Alpha::None);
        channels
            * if let Colours::Cmyk = self.colours {
                1
            } else {
                self.sample_bytes()
            }
    }

    pub(super) fn sample_bytes(&self) -> u64 {
        match self.depth {
            Depth::Bits(_) => 1,
            Depth::Sixteen => 2,
            Depth::Float => 4,
        }
    }
}

impl Colours {
    fn samples(&self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

/// Accepts the compressions of fax, and those that `tiff` decodes with the enabled features: none,
/// LZW, JPEG, both numbers of Deflate, PackBits.
fn check_compression(compression: u16) -> Result<(), Unreadable> {
    let feature = match compression {
        1 | HUFFMAN | GROUP_3 | GROUP_4 | 5 | JPEG | 8 | 32773 | 32946 => return Ok(()),
        6 => Feature::OldJpegTiff,
        _ => Feature::TiffCompression,
    };
    Err(Unreadable::Unsupported(feature))
}

/// Reads the colour table: all reds, all greens, all blues. Some programs write 8-bit values into
/// its 16 bits.
fn palette(decoder: &mut Decoder<Reader<'_>>, bits: u16) -> Result<Vec<[u8; 3]>, Unreadable> {
    let values = decoder.find_tag_unsigned_vec::<u16>(Tag::ColorMap)?;
    let values = values
        .filter(|values| values.len() == 3 << bits)
        .ok_or(Unreadable::Damaged)?;
    let shift = if values.iter().any(|value| *value > 255) {
        8
    } else {
        0
    };
    let byte = |value: u16| u8::try_from(value >> shift).unwrap_or(u8::MAX);
    let (reds, rest) = values.split_at(1 << bits);
    let (greens, blues) = rest.split_at(1 << bits);
    let colours = reds.iter().zip(greens).zip(blues);
    Ok(colours
        .map(|((red, green), blue)| [*red, *green, *blue].map(byte))
        .collect())
}
