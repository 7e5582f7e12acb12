//! Encoding of derived images. The source's metadata does not reach this code, so none is written.

use std::borrow::Cow;

use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageEncoder as _, RgbImage};
use plinth_domain::preset::{Format, Quality};

use crate::{Unreadable, jpeg};

pub(crate) fn encode(picture: &DynamicImage, format: Format) -> Result<Vec<u8>, Unreadable> {
    match format {
        Format::Jpeg(quality) => jpeg::encode(&flatten(picture), quality),
        Format::WebP(quality) => webp(picture, quality),
        Format::Png => png(picture),
    }
}

fn webp(picture: &DynamicImage, quality: Quality) -> Result<Vec<u8>, Unreadable> {
    let (width, height) = (picture.width(), picture.height());
    let encoder = match picture {
        DynamicImage::ImageRgba8(pixels) => webp::Encoder::from_rgba(pixels, width, height),
        DynamicImage::ImageRgb8(pixels) => webp::Encoder::from_rgb(pixels, width, height),
        _ => return Err(Unreadable::Unknown),
    };
    // At this size, libwebp fails only for lack of memory.
    let bytes = encoder
        .encode_simple(false, quality.get().into())
        .map_err(|_| Unreadable::TooMuchMemory)?;
    Ok(bytes.to_vec())
}

fn png(picture: &DynamicImage) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(
        picture.as_bytes(),
        picture.width(),
        picture.height(),
        picture.color().into(),
    )?;
    Ok(bytes)
}

/// Replaces transparency by white, for JPEG.
pub(crate) fn flatten(picture: &DynamicImage) -> Cow<'_, RgbImage> {
    if let DynamicImage::ImageRgb8(picture) = picture {
        return Cow::Borrowed(picture);
    }
    let picture = picture.to_rgba8();
    Cow::Owned(RgbImage::from_fn(
        picture.width(),
        picture.height(),
        |x, y| {
            let [red, green, blue, alpha] = picture.get_pixel(x, y).0.map(u32::from);
            let over_white = |channel: u32| {
                let mixed = (channel * alpha + 255 * (255 - alpha) + 127) / 255;
                u8::try_from(mixed).unwrap_or(u8::MAX)
            };
            image::Rgb([over_white(red), over_white(green), over_white(blue)])
        },
    ))
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn a_half_transparent_colour_is_mixed_with_white() {
        let half = RgbaImage::from_pixel(1, 1, Rgba([255, 0, 0, 128])).into();
        let half = flatten(&half);
        assert_eq!(half.get_pixel(0, 0).0, [255, 127, 127]);
    }
}
