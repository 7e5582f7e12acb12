//! Conversion of samples to the pixels of a picture.

use image::{DynamicImage, ImageBuffer};

use super::layout::{Alpha, Colours, Depth, Layout};
use crate::cmyk::{CMYK_CHANNELS, CmykConverter};

/// Creates a picture from samples of at most 8 bits. Returns `None` if their number is wrong.
pub(super) fn from_bytes(
    size: (u32, u32),
    layout: &Layout,
    mut samples: Vec<u8>,
    cmyk: &CmykConverter,
) -> Option<DynamicImage> {
    let channels = layout.kept_samples();
    if layout.alpha == Alpha::Associated {
        unmultiply(&mut samples, channels, u8::MAX.into(), |value| {
            u8::try_from(value).unwrap_or(u8::MAX)
        });
    }
    let colours = channels - usize::from(layout.alpha != Alpha::None);
    match &layout.colours {
        Colours::Grey { is_white_zero } => {
            let steps = if let Depth::Bits(bits @ 1..=7) = layout.depth {
                (1 << bits) - 1
            } else {
                255_u8
            };
            for pixel in samples.chunks_exact_mut(channels) {
                let level = pixel[0].min(steps) * (255 / steps);
                pixel[0] = if *is_white_zero { 255 - level } else { level };
            }
            bytes_image(size, channels, samples)
        }
        Colours::Rgb => bytes_image(size, channels, samples),
        Colours::Palette(palette) => {
            let colour = |index: &u8| {
                palette
                    .get(usize::from(*index))
                    .copied()
                    .unwrap_or_default()
            };
            bytes_image(size, 3, samples.iter().flat_map(colour).collect())
        }
        Colours::YCbCr => {
            for pixel in samples.chunks_exact_mut(channels) {
                let rgb = ycbcr_to_rgb([pixel[0], pixel[1], pixel[2]]);
                pixel[..3].copy_from_slice(&rgb);
            }
            bytes_image(size, channels, samples)
        }
        Colours::Cmyk if channels == CMYK_CHANNELS => bytes_image(size, 3, cmyk.to_rgb(&samples)),
        Colours::Cmyk => {
            let only: Vec<u8> = samples
                .chunks_exact(channels)
                .flat_map(|pixel| &pixel[..colours])
                .copied()
                .collect();
            let rgb = cmyk.to_rgb(&only);
            let alpha = samples.iter().skip(colours).step_by(channels);
            let pixels = rgb.as_chunks().0.iter().zip(alpha);
            let pixels =
                pixels.flat_map(|([red, green, blue], alpha)| [*red, *green, *blue, *alpha]);
            bytes_image(size, 4, pixels.collect())
        }
    }
}

/// Creates a picture from samples of 16 bits like [`from_bytes`].
pub(super) fn from_shorts(
    size: (u32, u32),
    layout: &Layout,
    mut samples: Vec<u16>,
    cmyk: &CmykConverter,
) -> Option<DynamicImage> {
    let channels = layout.kept_samples();
    if let Colours::Cmyk = layout.colours {
        let byte = |sample: &u16| u8::try_from(sample >> 8).unwrap_or(u8::MAX);
        return from_bytes(size, layout, samples.iter().map(byte).collect(), cmyk);
    }
    if layout.alpha == Alpha::Associated {
        unmultiply(&mut samples, channels, u16::MAX.into(), |value| {
            u16::try_from(value).unwrap_or(u16::MAX)
        });
    }
    if let Colours::Grey {
        is_white_zero: true,
    } = layout.colours
    {
        for pixel in samples.chunks_exact_mut(channels) {
            pixel[0] = !pixel[0];
        }
    }
    let (width, height) = size;
    match channels {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
        _ => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
    }
}

/// Creates a picture from floating-point samples, with 0 for black and 1 for white.
pub(super) fn from_floats(
    size: (u32, u32),
    layout: &Layout,
    samples: &[f32],
) -> Option<DynamicImage> {
    let has_alpha = layout.alpha != Alpha::None;
    let pixels = samples
        .chunks_exact(layout.kept_samples())
        .flat_map(|pixel| {
            let (first, second, third) = match layout.colours {
                Colours::Grey {
                    is_white_zero: true,
                } => (1.0 - pixel[0], 1.0 - pixel[0], 1.0 - pixel[0]),
                Colours::Grey { .. } => (pixel[0], pixel[0], pixel[0]),
                _ => (pixel[0], pixel[1], pixel[2]),
            };
            let alpha = pixel.last().copied().filter(|_| has_alpha);
            let divisor = alpha
                .filter(|alpha| layout.alpha == Alpha::Associated && *alpha > 0.0)
                .unwrap_or(1.0);
            [first / divisor, second / divisor, third / divisor]
                .into_iter()
                .chain(alpha)
        });
    let (pixels, (width, height)) = (pixels.collect(), size);
    if has_alpha {
        ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgba32F)
    } else {
        ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgb32F)
    }
}

/// Divides colours by the alpha with which they were multiplied.
fn unmultiply<T: Copy + Into<u32>>(
    samples: &mut [T],
    channels: usize,
    max: u32,
    narrow: impl Fn(u32) -> T,
) {
    for pixel in samples.chunks_exact_mut(channels) {
        let Some((alpha, colours)) = pixel.split_last_mut() else {
            continue;
        };
        let alpha: u32 = (*alpha).into();
        if alpha > 0 {
            for colour in colours {
                let stored: u32 = (*colour).into();
                let whole =
                    (u64::from(stored) * u64::from(max) + u64::from(alpha / 2)) / u64::from(alpha);
                *colour = narrow(u32::try_from(whole).unwrap_or(max).min(max));
            }
        }
    }
}

/// Converts YCbCr to RGB by the matrix of JPEG and TIFF (TIFF 6.0, section 21).
fn ycbcr_to_rgb([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let (luma, blue, red) = (
        f32::from(luma),
        f32::from(blue) - 128.0,
        f32::from(red) - 128.0,
    );
    [
        luma + 1.402 * red,
        luma - 0.344_136 * blue - 0.714_136 * red,
        luma + 1.772 * blue,
    ]
    .map(|value| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 255"
        )]
        let byte = (value + 0.5).clamp(0.0, 255.0) as u8;
        byte
    })
}

fn bytes_image(
    (width, height): (u32, u32),
    channels: usize,
    pixels: Vec<u8>,
) -> Option<DynamicImage> {
    match channels {
        1 => ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        2 => ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageLumaA8),
        3 => ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
        _ => ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8),
    }
}
