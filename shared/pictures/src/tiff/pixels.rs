//! From samples to the pixels of a picture.

use image::{DynamicImage, ImageBuffer};

use super::layout::{Alpha, Colours, Depth, Layout};
use crate::inks::{INKS, Inks};

/// Makes a picture of samples of 8 bits at most. Returns `None` if they are not as many as it needs.
pub(super) fn of_bytes(
    size: (u32, u32),
    layout: &Layout,
    mut samples: Vec<u8>,
    inks: &Inks,
) -> Option<DynamicImage> {
    let kept = layout.kept();
    if layout.alpha == Alpha::Associated {
        divide(&mut samples, kept, u8::MAX.into(), |value| {
            u8::try_from(value).unwrap_or(u8::MAX)
        });
    }
    let colours = kept - usize::from(layout.alpha != Alpha::None);
    match &layout.colours {
        Colours::Grey { is_white_zero } => {
            let steps = if let Depth::Bits(bits @ 1..=7) = layout.depth {
                (1 << bits) - 1
            } else {
                255_u8
            };
            for pixel in samples.chunks_exact_mut(kept) {
                let level = pixel[0].min(steps) * (255 / steps);
                pixel[0] = if *is_white_zero { 255 - level } else { level };
            }
            bytes_image(size, kept, samples)
        }
        Colours::Rgb => bytes_image(size, kept, samples),
        Colours::Palette(palette) => {
            let of = |number: &u8| {
                palette
                    .get(usize::from(*number))
                    .copied()
                    .unwrap_or_default()
            };
            bytes_image(size, 3, samples.iter().flat_map(of).collect())
        }
        Colours::YCbCr => {
            for pixel in samples.chunks_exact_mut(kept) {
                let rgb = rgb([pixel[0], pixel[1], pixel[2]]);
                pixel[..3].copy_from_slice(&rgb);
            }
            bytes_image(size, kept, samples)
        }
        Colours::Inks if kept == INKS => bytes_image(size, 3, inks.to_rgb(&samples)),
        Colours::Inks => {
            let only: Vec<u8> = samples
                .chunks_exact(kept)
                .flat_map(|pixel| &pixel[..colours])
                .copied()
                .collect();
            let rgb = inks.to_rgb(&only);
            let alpha = samples.iter().skip(colours).step_by(kept);
            let pixels = rgb.as_chunks().0.iter().zip(alpha);
            let pixels =
                pixels.flat_map(|([red, green, blue], alpha)| [*red, *green, *blue, *alpha]);
            bytes_image(size, 4, pixels.collect())
        }
    }
}

/// The same of samples of 16 bits.
pub(super) fn of_shorts(
    size: (u32, u32),
    layout: &Layout,
    mut samples: Vec<u16>,
    inks: &Inks,
) -> Option<DynamicImage> {
    let kept = layout.kept();
    if let Colours::Inks = layout.colours {
        let byte = |sample: &u16| u8::try_from(sample >> 8).unwrap_or(u8::MAX);
        return of_bytes(size, layout, samples.iter().map(byte).collect(), inks);
    }
    if layout.alpha == Alpha::Associated {
        divide(&mut samples, kept, u16::MAX.into(), |value| {
            u16::try_from(value).unwrap_or(u16::MAX)
        });
    }
    if let Colours::Grey {
        is_white_zero: true,
    } = layout.colours
    {
        for pixel in samples.chunks_exact_mut(kept) {
            pixel[0] = !pixel[0];
        }
    }
    let (width, height) = size;
    match kept {
        1 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLuma16),
        2 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageLumaA16),
        3 => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgb16),
        _ => ImageBuffer::from_raw(width, height, samples).map(DynamicImage::ImageRgba16),
    }
}

/// The same of floating-point samples, where 0 is black and 1 is white.
pub(super) fn of_floats(
    size: (u32, u32),
    layout: &Layout,
    samples: &[f32],
) -> Option<DynamicImage> {
    let has_alpha = layout.alpha != Alpha::None;
    let pixels = samples.chunks_exact(layout.kept()).flat_map(|pixel| {
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

/// Divides colours by the alpha that they were multiplied by.
fn divide<T: Copy + Into<u32>>(
    samples: &mut [T],
    kept: usize,
    max: u32,
    narrow: impl Fn(u32) -> T,
) {
    for pixel in samples.chunks_exact_mut(kept) {
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

/// Red, green and blue by the matrix that JPEG and TIFF have in common (TIFF 6.0, section 21).
fn rgb([luma, blue, red]: [u8; 3]) -> [u8; 3] {
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
