//! The colour space of a PNG (third edition, section 4.3): cICP has priority, then iCCP, then sRGB,
//! then gAMA and cHRM.

use moxcms::{Chromaticity, ColorPrimaries, ColorProfile, ToneReprCurve};

use super::SIGNATURE;
use crate::Unreadable;
use crate::cicp;
use crate::colour::Profile;
use crate::input::{Input, to_usize};

/// The chunk value that means 1.
const CHUNK_UNIT: f32 = 100_000.0;

/// The values of gAMA and cHRM that mean sRGB (section 11.3.2.5), and the difference up to which a
/// value means the same.
const SRGB_GAMMA: u32 = 45_455;
const SRGB_CHROMATICITIES: [u32; 8] = [
    31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000,
];
const TOLERANCE: u32 = 455;

#[derive(Default)]
struct Chunks<'a> {
    cicp: Option<[u8; 4]>,
    has_icc: bool,
    has_srgb: bool,
    gamma: Option<u32>,
    /// x and y of white, red, green and blue.
    chromaticities: Option<&'a [u8]>,
}

/// Returns the colour profile of a file whose ICC profile is `icc`, or `None` for sRGB.
pub(crate) fn profile(file: &[u8], icc: Option<Profile>) -> Option<Profile> {
    let chunks = read(file);
    let cicp_profile = chunks
        .cicp
        .and_then(|[primaries, transfer, _, is_full_range]| {
            cicp::profile(primaries.into(), transfer.into()).filter(|_| is_full_range == 1)
        });
    match cicp_profile {
        Some(profile) => Some(profile.into()),
        None if chunks.has_icc => icc,
        None if chunks.has_srgb => None,
        None => measured_profile(chunks.gamma, chunks.chromaticities.and_then(parse_numbers))
            .map(Profile::from),
    }
}

/// Reads the chunks before the pixels. Ignores a damaged chunk and all after it.
fn read(file: &[u8]) -> Chunks<'_> {
    let mut chunks = Chunks::default();
    let Some(rest) = file.strip_prefix(&SIGNATURE) else {
        return chunks;
    };
    let mut input = Input(rest);
    while let Ok((kind, data)) = read_chunk(&mut input) {
        match kind {
            b"cICP" => chunks.cicp = data.try_into().ok(),
            b"iCCP" => chunks.has_icc = true,
            b"sRGB" => chunks.has_srgb = true,
            b"gAMA" => chunks.gamma = data.try_into().ok().map(u32::from_be_bytes),
            b"cHRM" => chunks.chromaticities = Some(data),
            b"IDAT" => break,
            _ => {}
        }
    }
    chunks
}

fn read_chunk<'a>(input: &mut Input<'a>) -> Result<(&'a [u8; 4], &'a [u8]), Unreadable> {
    let length = to_usize(u32::from_be_bytes(input.array()?))?;
    let summed = input.take(length.checked_add(4).ok_or(Unreadable::Damaged)?)?;
    let (kind, data) = summed.split_first_chunk().ok_or(Unreadable::Damaged)?;
    let sum = u32::from_be_bytes(input.array()?);
    if kind != b"IDAT" && crc32fast::hash(summed) != sum {
        return Err(Unreadable::Damaged);
    }
    Ok((kind, data))
}

fn parse_numbers(data: &[u8]) -> Option<[u32; 8]> {
    let (numbers, []) = data.as_chunks() else {
        return None;
    };
    numbers
        .iter()
        .map(|bytes| u32::from_be_bytes(*bytes))
        .collect::<Vec<_>>()
        .try_into()
        .ok()
}

/// Creates a profile from an exponent and chromaticities. sRGB's values replace missing ones.
fn measured_profile(gamma: Option<u32>, chromaticities: Option<[u32; 8]>) -> Option<ColorProfile> {
    let gamma = gamma.filter(|gamma| *gamma > 0 && gamma.abs_diff(SRGB_GAMMA) > TOLERANCE);
    let is_other = |numbers: &[u32; 8]| {
        numbers
            .iter()
            .zip(SRGB_CHROMATICITIES)
            .any(|(number, srgb)| number.abs_diff(srgb) > TOLERANCE)
    };
    let colours = chromaticities.filter(is_other).and_then(primaries);
    if gamma.is_none() && colours.is_none() {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if let Some((white, primaries)) = colours {
        profile.update_rgb_colorimetry(white.to_xyyb(), primaries);
    }
    if let Some(gamma) = gamma {
        cicp::set_curve(
            &mut profile,
            ToneReprCurve::Parametric(vec![CHUNK_UNIT / to_float(gamma)]),
        );
    }
    Some(profile)
}

/// Returns white and the primaries if they span a triangle.
fn primaries(numbers: [u32; 8]) -> Option<(Chromaticity, ColorPrimaries)> {
    let (points, _) = numbers.as_chunks::<2>();
    let [white, red, green, blue] = <[[u32; 2]; 4]>::try_from(points)
        .ok()?
        .map(|point| point.map(|number| to_float(number) / CHUNK_UNIT));
    let area = (green[0] - red[0]) * (blue[1] - red[1]) - (green[1] - red[1]) * (blue[0] - red[0]);
    let is_point = |[x, y]: [f32; 2]| x <= 1.0 && y <= 1.0;
    let is_valid = [white, red, green, blue].into_iter().all(is_point)
        && [white, red, green, blue].into_iter().all(|[_, y]| y > 0.0)
        && area.abs() > 0.01;
    let point = |[x, y]: [f32; 2]| Chromaticity::new(x, y);
    is_valid.then(|| {
        (
            point(white),
            ColorPrimaries {
                red: point(red),
                green: point(green),
                blue: point(blue),
            },
        )
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the values have six significant digits"
)]
fn to_float(number: u32) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    const P3: [u32; 8] = [
        31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000,
    ];

    fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
        let summed = [&kind, data].concat();
        let length = u32::try_from(data.len()).expect("short").to_be_bytes();
        [
            &length[..],
            &summed,
            &crc32fast::hash(&summed).to_be_bytes(),
        ]
        .concat()
    }

    fn gamma(number: u32) -> Vec<u8> {
        chunk(*b"gAMA", &number.to_be_bytes())
    }

    fn chromaticities(numbers: [u32; 8]) -> Vec<u8> {
        chunk(*b"cHRM", &numbers.map(u32::to_be_bytes).concat())
    }

    /// Returns the displayed colour of a PNG of `colour` with these chunks after its header.
    fn displayed(colour: [u8; 3], chunks: &[Vec<u8>]) -> [u8; 3] {
        let mut file = std::io::Cursor::new(Vec::new());
        RgbImage::from_pixel(4, 4, Rgb(colour))
            .write_to(&mut file, ImageFormat::Png)
            .expect("encodes");
        let file = file.into_inner();
        let file = [&file[..33], &chunks.concat(), &file[33..]].concat();
        let recipe = "4x4 contain png".parse().expect("a recipe");
        let rendered = crate::render(&file, &[recipe], 100).expect("renders");
        image::load_from_memory(&rendered.images[0].bytes)
            .expect("an image")
            .into_rgb8()
            .get_pixel(1, 1)
            .0
    }

    fn assert_close(case: &str, actual: [u8; 3], expected: [u8; 3]) {
        let is_close = actual
            .iter()
            .zip(expected)
            .all(|(one, other)| one.abs_diff(other) < 3);
        assert!(is_close, "{case}: {actual:?} {expected:?}");
    }

    #[test]
    fn colours_follow_the_chunk_with_the_highest_priority() {
        let (grey, orange) = ([128; 3], [200, 120, 80]);
        // 128 / 255 is half of the light: 1.055 * 0.502 ^ (1 / 2.4) - 0.055 is 0.7366 in sRGB.
        assert_close("linear", displayed(grey, &[gamma(100_000)]), [188; 3]);
        // 0.502 ^ 1.8 is 0.2892 of the light, which is 0.5741 in sRGB.
        assert_close("1.8", displayed(grey, &[gamma(55_556)]), [146; 3]);
        for same in [
            vec![gamma(45_455)],
            vec![gamma(45_455), chromaticities(SRGB_CHROMATICITIES)],
            vec![gamma(0)],
        ] {
            assert_eq!(displayed(orange, &same), orange);
        }
        // The sRGB value of 200, 120, 80 in Display P3, by the matrices of both (CSS Color 4,
        // section 10.9).
        let wide = [213, 115, 70];
        let cicp = |transfer: u8| chunk(*b"cICP", &[12, transfer, 0, 1]);
        assert_close("cICP", displayed(orange, &[cicp(13)]), wide);
        assert_close(
            "cHRM",
            displayed(orange, &[gamma(45_455), chromaticities(P3)]),
            wide,
        );
        assert_close(
            "cICP before others",
            displayed(orange, &[cicp(13), chunk(*b"sRGB", &[0]), gamma(100_000)]),
            wide,
        );
        assert_eq!(
            displayed(grey, &[chunk(*b"sRGB", &[0]), gamma(100_000)]),
            grey,
            "sRGB before gAMA"
        );
        // White of 203 cd/m2 is 0.5807 in PQ and 0.75 in HLG (ITU-R BT.2408); 100 cd/m2 is 0.5081
        // in PQ, 0.4926 of white.
        assert_close("PQ white", displayed([148; 3], &[cicp(16)]), [255; 3]);
        assert_close("PQ", displayed([130; 3], &[cicp(16)]), [188; 3]);
        assert_close("HLG white", displayed([192; 3], &[cicp(18)]), [255; 3]);
        // Narrow range, a reserved curve, collinear primaries, and a wrong checksum.
        let mut wrong = gamma(100_000);
        wrong[10] ^= 1;
        for ignored in [
            chunk(*b"cICP", &[12, 13, 0, 0]),
            chunk(*b"cICP", &[12, 99, 0, 1]),
            chromaticities([
                31_270, 32_900, 10_000, 10_000, 20_000, 20_000, 30_000, 30_000,
            ]),
            wrong,
        ] {
            assert_eq!(displayed(orange, &[ignored]), orange);
        }
    }
}
