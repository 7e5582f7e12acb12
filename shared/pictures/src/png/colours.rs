//! How the colours of a PNG are meant (third edition, section 4.3): of the chunks that say it, cICP counts first, then iCCP,
//! then sRGB, then gAMA and cHRM.

use moxcms::{Chromaticity, ColorPrimaries, ColorProfile, ToneReprCurve};

use super::SIGNATURE;
use crate::Unreadable;
use crate::code_points;
use crate::colour::Profile;
use crate::input::{Input, place};

/// Chunks have this many parts of 1.
const UNIT: f32 = 100_000.0;

/// What programs write into gAMA and cHRM beside sRGB (section 11.3.2.5), and how far from it a value still means the same.
const SRGB_GAMMA: u32 = 45_455;
const SRGB_CHROMATICITIES: [u32; 8] = [
    31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000,
];
const TOLERANCE: u32 = 455;

#[derive(Default)]
struct Chunks<'a> {
    code_points: Option<[u8; 4]>,
    has_icc: bool,
    has_srgb: bool,
    gamma: Option<u32>,
    /// x and y of white, red, green and blue.
    chromaticities: Option<&'a [u8]>,
}

/// Returns what the colours of a file are, `icc` being its ICC profile. Returns `None` for sRGB.
pub(crate) fn profile(file: &[u8], icc: Option<Profile>) -> Option<Profile> {
    let chunks = read(file);
    let by_code_points = chunks
        .code_points
        .and_then(|[primaries, transfer, _, is_full_range]| {
            code_points::profile(primaries.into(), transfer.into()).filter(|_| is_full_range == 1)
        });
    match by_code_points {
        Some(profile) => Some(profile.into()),
        None if chunks.has_icc => icc,
        None if chunks.has_srgb => None,
        None => measured(chunks.gamma, chunks.chromaticities.and_then(numbers)).map(Profile::from),
    }
}

/// Reads the chunks before the pixels. A damaged one, and what follows it, is ignored.
fn read(file: &[u8]) -> Chunks<'_> {
    let mut chunks = Chunks::default();
    let Some(rest) = file.strip_prefix(&SIGNATURE) else {
        return chunks;
    };
    let mut input = Input(rest);
    while let Ok((kind, data)) = chunk(&mut input) {
        match kind {
            b"cICP" => chunks.code_points = data.try_into().ok(),
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

fn chunk<'a>(input: &mut Input<'a>) -> Result<(&'a [u8; 4], &'a [u8]), Unreadable> {
    let length = place(u32::from_be_bytes(input.array()?))?;
    let summed = input.take(length.checked_add(4).ok_or(Unreadable::Damaged)?)?;
    let (kind, data) = summed.split_first_chunk().ok_or(Unreadable::Damaged)?;
    let sum = u32::from_be_bytes(input.array()?);
    if kind != b"IDAT" && crc32fast::hash(summed) != sum {
        return Err(Unreadable::Damaged);
    }
    Ok((kind, data))
}

fn numbers(data: &[u8]) -> Option<[u32; 8]> {
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

/// Makes a profile of an exponent and of chromaticities. What is not given is that of sRGB.
fn measured(gamma: Option<u32>, chromaticities: Option<[u32; 8]>) -> Option<ColorProfile> {
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
        code_points::set_curve(
            &mut profile,
            ToneReprCurve::Parametric(vec![UNIT / share(gamma)]),
        );
    }
    Some(profile)
}

/// Returns white and the primaries if they span a triangle.
fn primaries(numbers: [u32; 8]) -> Option<(Chromaticity, ColorPrimaries)> {
    let (points, _) = numbers.as_chunks::<2>();
    let [white, red, green, blue] = <[[u32; 2]; 4]>::try_from(points)
        .ok()?
        .map(|point| point.map(|number| share(number) / UNIT));
    let area = (green[0] - red[0]) * (blue[1] - red[1]) - (green[1] - red[1]) * (blue[0] - red[0]);
    let is_point = |[x, y]: [f32; 2]| x <= 1.0 && y <= 1.0;
    let is_sound = [white, red, green, blue].into_iter().all(is_point)
        && [white, red, green, blue].into_iter().all(|[_, y]| y > 0.0)
        && area.abs() > 0.01;
    let point = |[x, y]: [f32; 2]| Chromaticity::new(x, y);
    is_sound.then(|| {
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

#[expect(clippy::cast_precision_loss, reason = "what matters has six digits")]
fn share(number: u32) -> f32 {
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

    /// The colour that a PNG of this one is shown in, with these chunks behind its header.
    fn shown(colour: [u8; 3], chunks: &[Vec<u8>]) -> [u8; 3] {
        let mut file = std::io::Cursor::new(Vec::new());
        RgbImage::from_pixel(4, 4, Rgb(colour))
            .write_to(&mut file, ImageFormat::Png)
            .expect("encodes");
        let file = file.into_inner();
        let file = [&file[..33], &chunks.concat(), &file[33..]].concat();
        let recipe = "4x4 contain png".parse().expect("a recipe");
        let developed = crate::render(&file, &[recipe], 100).expect("renders");
        image::load_from_memory(&developed.images[0].bytes)
            .expect("an image")
            .into_rgb8()
            .get_pixel(1, 1)
            .0
    }

    fn assert_close(what: &str, seen: [u8; 3], expected: [u8; 3]) {
        let is_close = seen
            .iter()
            .zip(expected)
            .all(|(one, other)| one.abs_diff(other) < 3);
        assert!(is_close, "{what}: {seen:?} {expected:?}");
    }

    #[test]
    fn colours_are_those_of_the_chunk_that_counts_first() {
        let (grey, orange) = ([128; 3], [200, 120, 80]);
        // 128 / 255 is half of the light: 1.055 * 0.502 ^ (1 / 2.4) - 0.055 is 0.7366 in sRGB.
        assert_close("linear", shown(grey, &[gamma(100_000)]), [188; 3]);
        // 0.502 ^ 1.8 is 0.2892 of the light, and that is 0.5741 in sRGB.
        assert_close("1.8", shown(grey, &[gamma(55_556)]), [146; 3]);
        for same in [
            vec![gamma(45_455)],
            vec![gamma(45_455), chromaticities(SRGB_CHROMATICITIES)],
            vec![gamma(0)],
        ] {
            assert_eq!(shown(orange, &same), orange);
        }
        // The sRGB value of 200, 120, 80 in Display P3, by the matrices of both (CSS Color 4, section 10.9).
        let wide = [213, 115, 70];
        let cicp = |transfer: u8| chunk(*b"cICP", &[12, transfer, 0, 1]);
        assert_close("cICP", shown(orange, &[cicp(13)]), wide);
        assert_close(
            "cHRM",
            shown(orange, &[gamma(45_455), chromaticities(P3)]),
            wide,
        );
        assert_close(
            "cICP before others",
            shown(orange, &[cicp(13), chunk(*b"sRGB", &[0]), gamma(100_000)]),
            wide,
        );
        assert_eq!(
            shown(grey, &[chunk(*b"sRGB", &[0]), gamma(100_000)]),
            grey,
            "sRGB before gAMA"
        );
        // White of 203 cd/m2 is 0.5807 in PQ and 0.75 in HLG (ITU-R BT.2408); 100 cd/m2 is 0.5081 in PQ, 0.4926 of white.
        assert_close("PQ white", shown([148; 3], &[cicp(16)]), [255; 3]);
        assert_close("PQ", shown([130; 3], &[cicp(16)]), [188; 3]);
        assert_close("HLG white", shown([192; 3], &[cicp(18)]), [255; 3]);
        // Narrow range, a curve that is reserved, primaries on one line, and a wrong sum.
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
            assert_eq!(shown(orange, &[ignored]), orange);
        }
    }
}
