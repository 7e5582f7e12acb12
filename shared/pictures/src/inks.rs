//! Inks of printers (cyan, magenta, yellow and black) as red, green and blue.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use crate::colour;

/// Bytes of a pixel: how much of each ink there is.
pub(crate) const INKS: usize = 4;

/// How inks are converted: by the picture's ICC profile, or without one as if each took away its share of light.
pub(crate) struct Inks(Option<Arc<Transform8BitExecutor>>);

impl Inks {
    pub(crate) fn new(icc: Option<&[u8]>) -> Self {
        let profile = icc.and_then(colour::read);
        let profile = profile.filter(|profile| profile.color_space == DataColorSpace::Cmyk);
        Self(profile.and_then(|profile| {
            let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
            // The crate's name for four channels.
            profile
                .create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, options)
                .ok()
        }))
    }

    /// Converts pixels of [`INKS`] bytes to pixels of three bytes.
    pub(crate) fn to_rgb(&self, inks: &[u8]) -> Vec<u8> {
        let (pixels, _) = inks.as_chunks::<INKS>();
        if let Some(transform) = &self.0 {
            let mut rgb = vec![0; 3 * pixels.len()];
            if transform.transform(pixels.as_flattened(), &mut rgb).is_ok() {
                return rgb;
            }
        }
        pixels
            .iter()
            .flat_map(|[cyan, magenta, yellow, black]| {
                [cyan, magenta, yellow].map(|ink| left(*ink, *black))
            })
            .collect()
    }
}

/// The light that an ink and black leave.
fn left(ink: u8, black: u8) -> u8 {
    let light = u32::from(255 - ink) * u32::from(255 - black);
    u8::try_from((light + 127) / 255).unwrap_or(u8::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use mozjpeg::{ColorSpace, Compress};

    /// An ICC profile (ICC.1:2001, 6.5.6: `mft1`) of a printer whose cyan is a grey of half the lightness: L* is 100 without
    /// cyan and 50 with all of it, and the other inks print nothing.
    pub(crate) fn grey_cyan() -> Vec<u8> {
        let mut lut = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
        for place in 0..9 {
            lut.extend(if place % 4 == 0 { [0, 1, 0, 0] } else { [0; 4] });
        }
        let identity: Vec<u8> = (0..=255).collect();
        lut.extend(identity.repeat(4));
        // The first ink changes slowest.
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

    /// The sRGB level of a grey with L* 50: Y is 0.1842 (CIE 15), its square root of 2.4 is 0.4663 (IEC 61966-2-1).
    pub(crate) const HALF: u8 = 119;

    /// A JPEG of nothing but cyan, as Adobe's programs write it: how much of each ink is left out.
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
    fn inks_are_converted_by_their_profile_and_otherwise_by_what_they_leave() {
        for (icc, expected) in [(Some(grey_cyan()), [HALF; 3]), (None, [0, 255, 255])] {
            let recipe = "8x8 contain png".parse().expect("a recipe");
            let developed =
                crate::render(&cyan(icc.as_deref()), &[recipe], 1_000).expect("renders");
            let picture = image::load_from_memory(&developed.images[0].bytes)
                .expect("an image")
                .into_rgb8();
            let seen = picture.get_pixel(4, 4).0;
            assert!(
                seen.iter()
                    .zip(expected)
                    .all(|(one, other)| one.abs_diff(other) < 3),
                "{seen:?}"
            );
        }
    }
}
