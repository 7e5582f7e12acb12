//! Conversion of CMYK, the inks of printers, to RGB.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use crate::colour;

/// Bytes of a pixel: the amount of each ink.
pub(crate) const CMYK_CHANNELS: usize = 4;

/// Converts CMYK by the picture's ICC profile, or without one as if each ink absorbed its share of
/// light.
pub(crate) struct CmykConverter(Option<Arc<Transform8BitExecutor>>);

impl CmykConverter {
    pub(crate) fn new(icc: Option<&[u8]>) -> Self {
        let profile = icc.and_then(colour::parse);
        let profile = profile.filter(|profile| profile.color_space == DataColorSpace::Cmyk);
        Self(profile.and_then(|profile| {
            let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
            // `moxcms` calls any four channels `Rgba`.
            profile
                .create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, options)
                .ok()
        }))
    }

    /// Converts pixels of [`CMYK_CHANNELS`] bytes to pixels of three bytes.
    pub(crate) fn to_rgb(&self, cmyk: &[u8]) -> Vec<u8> {
        let (pixels, _) = cmyk.as_chunks::<CMYK_CHANNELS>();
        if let Some(transform) = &self.0 {
            let mut rgb = vec![0; 3 * pixels.len()];
            if transform.transform(pixels.as_flattened(), &mut rgb).is_ok() {
                return rgb;
            }
        }
        pixels
            .iter()
            .flat_map(|[cyan, magenta, yellow, black]| {
                [cyan, magenta, yellow].map(|ink| remaining_light(*ink, *black))
            })
            .collect()
    }
}

/// Returns the light that an ink and black leave.
fn remaining_light(ink: u8, black: u8) -> u8 {
    let light = u32::from(255 - ink) * u32::from(255 - black);
    u8::try_from((light + 127) / 255).unwrap_or(u8::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use mozjpeg::{ColorSpace, Compress};

    /// Returns an ICC profile (ICC.1:2001, 6.5.6: `mft1`) of a printer whose cyan is a grey of half
    /// the lightness: L* is 100 without cyan and 50 with all of it. The other inks print nothing.
    pub(crate) fn grey_cyan() -> Vec<u8> {
        let mut lut = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
        for index in 0..9 {
            lut.extend(if index % 4 == 0 { [0, 1, 0, 0] } else { [0; 4] });
        }
        let identity: Vec<u8> = (0..=255).collect();
        lut.extend(identity.repeat(4));
        // The first ink varies slowest.
        lut.extend([255, 128, 128].repeat(8));
        lut.extend([128, 128, 128].repeat(8));
        lut.extend(identity.repeat(3));
        let length = |bytes: usize| u32::try_from(bytes).expect("short").to_be_bytes();
        let mut icc = length(128 + 4 + 12 + lut.len()).to_vec();
        icc.extend(b"\0\0\0\0\x02\x40\0\0prtrCMYKLab \x07\xe8\0\x01\0\x01\0\0\0\0\0\0acsp");
        icc.resize(68, 0);
        // The illuminant, D50.
        icc.extend(b"\0\0\xf6\xd6\0\x01\0\0\0\0\xd3\x2d");
        icc.resize(128, 0);
        icc.extend(b"\0\0\0\x01A2B0");
        icc.extend(length(144));
        icc.extend(length(lut.len()));
        icc.extend(lut);
        icc
    }

    /// The sRGB level of a grey with L* 50: Y is 0.1842 (CIE 15), its root of degree 2.4 is 0.4941,
    /// and the level is 0.4663 (IEC 61966-2-1).
    pub(crate) const HALF: u8 = 119;

    /// Encodes a JPEG of pure cyan in Adobe's way, with inverted ink values.
    fn cyan(icc: Option<&[u8]>) -> Vec<u8> {
        let mut encoder = Compress::new(ColorSpace::JCS_CMYK);
        encoder.set_size(16, 16);
        encoder.set_quality(95.0);
        let mut started = encoder.start_compress(Vec::new()).expect("starts");
        started
            .write_scanlines(&[0, 255, 255, 255].repeat(16 * 16))
            .expect("encodes");
        let file = started.finish().expect("encodes");
        let segment = icc.map(|icc| {
            let length = u16::try_from(icc.len() + 16).expect("short").to_be_bytes();
            [b"\xff\xe2", &length[..], b"ICC_PROFILE\0\x01\x01", icc].concat()
        });
        [&file[..2], &segment.unwrap_or_default(), &file[2..]].concat()
    }

    #[test]
    fn cmyk_is_converted_by_its_profile_or_by_the_light_that_inks_leave() {
        for (icc, expected) in [(Some(grey_cyan()), [HALF; 3]), (None, [0, 255, 255])] {
            let recipe = "8x8 contain png".parse().expect("a recipe");
            let rendered = crate::render(&cyan(icc.as_deref()), &[recipe], 1_000).expect("renders");
            let picture = image::load_from_memory(&rendered.images[0].bytes)
                .expect("an image")
                .into_rgb8();
            let actual = picture.get_pixel(4, 4).0;
            assert!(
                actual
                    .iter()
                    .zip(expected)
                    .all(|(one, other)| one.abs_diff(other) < 3),
                "{actual:?}"
            );
        }
    }
}
