//! Colour management: derived images are sRGB without a profile, whichever profile the picture has.

use image::{DynamicImage, ImageBuffer};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Maximum bytes of a profile. A longer one is ignored.
const MAX_PROFILE_BYTES: usize = 4 * 1024 * 1024;

/// A profile of greyscale or RGB pixels.
pub(crate) struct Profile(ColorProfile);

impl Profile {
    /// Parses an ICC profile. Returns `None` if it cannot be parsed or is for other pixels:
    /// slightly wrong colours are no reason to refuse a picture.
    pub(crate) fn parse(icc: &[u8]) -> Option<Self> {
        let profile = parse(icc)?;
        matches!(
            profile.color_space,
            DataColorSpace::Rgb | DataColorSpace::Gray
        )
        .then_some(Self(profile))
    }

    /// Converts a picture to sRGB at its own depth. Returns `None` if the profile does not fit: a
    /// greyscale profile does not define colours.
    pub(crate) fn to_srgb(&self, picture: &DynamicImage) -> Option<DynamicImage> {
        let is_grey = self.0.color_space == DataColorSpace::Gray;
        if is_grey && !has_only_grey(picture) {
            return None;
        }
        let colour = picture.color();
        let is_deep = colour.bytes_per_pixel() > colour.channel_count();
        let (width, height) = (picture.width(), picture.height());
        match (colour.has_alpha(), is_deep) {
            (false, false) => {
                let pixels = if is_grey {
                    picture.to_luma8().into_raw()
                } else {
                    picture.to_rgb8().into_raw()
                };
                let pixels = self.convert(&pixels, is_grey, false)?;
                ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
            }
            (true, false) => {
                let pixels = if is_grey {
                    picture.to_luma_alpha8().into_raw()
                } else {
                    picture.to_rgba8().into_raw()
                };
                let pixels = self.convert(&pixels, is_grey, true)?;
                ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
            }
            (false, true) => {
                let pixels = if is_grey {
                    picture.to_luma16().into_raw()
                } else {
                    picture.to_rgb16().into_raw()
                };
                let pixels = self.convert_deep(&pixels, is_grey, false)?;
                ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgb16)
            }
            (true, true) => {
                let pixels = if is_grey {
                    picture.to_luma_alpha16().into_raw()
                } else {
                    picture.to_rgba16().into_raw()
                };
                let pixels = self.convert_deep(&pixels, is_grey, true)?;
                ImageBuffer::from_raw(width, height, pixels).map(DynamicImage::ImageRgba16)
            }
        }
    }

    fn convert(&self, pixels: &[u8], is_grey: bool, has_alpha: bool) -> Option<Vec<u8>> {
        let (from, to) = layouts(is_grey, has_alpha);
        let srgb = ColorProfile::new_srgb();
        let transform = self
            .0
            .create_transform_8bit(from, &srgb, to, TransformOptions::default())
            .ok()?;
        let mut converted = vec![0; pixels.len() / from.channels() * to.channels()];
        transform.transform(pixels, &mut converted).ok()?;
        Some(converted)
    }

    fn convert_deep(&self, pixels: &[u16], is_grey: bool, has_alpha: bool) -> Option<Vec<u16>> {
        let (from, to) = layouts(is_grey, has_alpha);
        let srgb = ColorProfile::new_srgb();
        let transform = self
            .0
            .create_transform_16bit(from, &srgb, to, TransformOptions::default())
            .ok()?;
        let mut converted = vec![0; pixels.len() / from.channels() * to.channels()];
        transform.transform(pixels, &mut converted).ok()?;
        Some(converted)
    }
}

impl From<ColorProfile> for Profile {
    fn from(profile: ColorProfile) -> Self {
        Self(profile)
    }
}

/// Parses a profile of any kind.
pub(crate) fn parse(icc: &[u8]) -> Option<ColorProfile> {
    if icc.len() > MAX_PROFILE_BYTES {
        return None;
    }
    ColorProfile::new_from_slice(icc).ok()
}

fn layouts(is_grey: bool, has_alpha: bool) -> (Layout, Layout) {
    match (is_grey, has_alpha) {
        (true, false) => (Layout::Gray, Layout::Rgb),
        (true, true) => (Layout::GrayAlpha, Layout::Rgba),
        (false, false) => (Layout::Rgb, Layout::Rgb),
        (false, true) => (Layout::Rgba, Layout::Rgba),
    }
}

/// Returns whether no pixel has a colour. Some decoders return RGB for greyscale pictures.
fn has_only_grey(picture: &DynamicImage) -> bool {
    let is_grey = |pixel: &image::Rgb<u8>| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2];
    !picture.color().has_color() || picture.to_rgb8().pixels().all(is_grey)
}

#[cfg(test)]
mod tests {
    use image::{GrayAlphaImage, GrayImage, Luma, LumaA, RgbImage};

    use super::*;

    /// Returns the sRGB level of a share of light (IEC 61966-2-1).
    fn srgb(light: f64) -> f64 {
        255.0
            * if light <= 0.003_130_8 {
                12.92 * light
            } else {
                1.055 * light.powf(1.0 / 2.4) - 0.055
            }
    }

    #[test]
    fn greyscale_is_converted_by_a_greyscale_profile() {
        for gamma in [1.0, 1.8, 2.2_f32] {
            let icc = ColorProfile::new_gray_with_gamma(gamma)
                .encode()
                .expect("encodes");
            let profile = Profile::parse(&icc).expect("parses");
            for level in [20_u8, 90, 128, 200, 255] {
                let expected = srgb((f64::from(level) / 255.0).powf(gamma.into()));
                for picture in [
                    DynamicImage::from(GrayImage::from_pixel(2, 2, Luma([level]))),
                    GrayAlphaImage::from_pixel(2, 2, LumaA([level, 77])).into(),
                    RgbImage::from_pixel(2, 2, image::Rgb([level; 3])).into(),
                    DynamicImage::from(GrayImage::from_pixel(2, 2, Luma([level])))
                        .into_luma16()
                        .into(),
                ] {
                    let actual = profile
                        .to_srgb(&picture)
                        .expect("fits")
                        .to_rgba8()
                        .get_pixel(1, 1)
                        .0;
                    for channel in &actual[..3] {
                        assert!(
                            (f64::from(*channel) - expected).abs() < 1.5,
                            "{gamma} {level}: {actual:?}"
                        );
                    }
                    assert_eq!(
                        actual[3],
                        if picture.color().has_alpha() { 77 } else { 255 }
                    );
                }
            }
            let red = RgbImage::from_pixel(2, 2, image::Rgb([200, 0, 0])).into();
            assert!(
                profile.to_srgb(&red).is_none(),
                "a greyscale profile does not define red"
            );
        }
    }
}
