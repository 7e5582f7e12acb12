//! Colours: whatever profile a picture comes with, its derived images are sRGB and carry none.

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// A profile that is longer than that is not read.
const MAX_PROFILE: usize = 4 * 1024 * 1024;

/// Converts the colours of a picture of 8 bits a channel. A profile that cannot be read or does not fit leaves them as
/// they are: a little off is no reason to refuse a picture.
pub(crate) fn to_srgb(picture: &mut DynamicImage, profile: &[u8]) {
    if profile.len() > MAX_PROFILE {
        return;
    }
    let Ok(profile) = ColorProfile::new_from_slice(profile) else { return };
    if profile.color_space != DataColorSpace::Rgb {
        return;
    }
    let layout = if picture.color().has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) = profile.create_transform_8bit(layout, &srgb, layout, TransformOptions::default())
    else {
        return;
    };
    let pixels: &mut [u8] = match picture {
        DynamicImage::ImageRgb8(pixels) => pixels,
        DynamicImage::ImageRgba8(pixels) => pixels,
        _ => return,
    };
    let source = pixels.to_vec();
    let _ = transform.transform(&source, pixels);
}
