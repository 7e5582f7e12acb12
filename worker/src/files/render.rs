//! Makes the small images of a picture: decode under limits, scale, turn upright, encode.
//!
//! The source is hostile until decoded: its size in pixels is read from the header
//! and refused before anything is allocated for it.

use std::io::Cursor;

use fast_image_resize::{FilterType, IntoImageView as _, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder as _, ImageError, ImageReader, Limits,
    RgbImage,
};
use plinth_domain::preset::Preset;

/// The largest picture, in pixels.
pub const MAX_PIXELS: u64 = 100_000_000;

/// What a decoder may allocate for one picture.
const MAX_ALLOCATION: u64 = 512 * 1024 * 1024;

/// A colour profile longer than that is left out: it would outweigh a thumbnail.
const MAX_PROFILE: usize = 16 * 1024;

const QUALITY: u8 = 82;

pub const CONTENT_TYPE: &str = "image/jpeg";

/// A derived picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub preset: Preset,
    pub width: u32,
    pub height: u32,
    pub jpeg: Vec<u8>,
}

/// Why no picture can be made of a file, in words for its owner.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("The file is not an image of a kind that is understood.")]
    Unknown,
    #[error("The image has more than {} million pixels.", MAX_PIXELS / 1_000_000)]
    TooManyPixels,
    #[error("The image needs too much memory.")]
    TooMuchMemory,
    #[error("The image is damaged.")]
    Damaged(#[source] ImageError),
    #[error("The image is damaged.")]
    Panicked,
}

impl From<ImageError> for Unreadable {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooMuchMemory,
            ImageError::Unsupported(_) => Self::Unknown,
            other => Self::Damaged(other),
        }
    }
}

/// Reads the header only: how many bytes decoding will take, roughly.
///
/// # Errors
/// The picture is over a limit or not one.
pub fn weigh(source: &[u8]) -> Result<u64, Unreadable> {
    let decoder = open(source)?;
    // Decoders hold about as much again of their own: coefficients, lines, the source.
    Ok(decoder.total_bytes().saturating_mul(2))
}

/// The pictures of every preset, in the order given.
///
/// # Errors
/// The picture is over a limit, damaged or not one.
pub fn render(source: &[u8], presets: &[Preset]) -> Result<Vec<Rendered>, Unreadable> {
    let mut decoder = open(source)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().unwrap_or_default().filter(|profile| is_for_rgb(profile));
    let picture = scalable(DynamicImage::from_decoder(decoder)?);
    presets.iter().map(|preset| derive(&picture, *preset, orientation, profile.as_deref())).collect()
}

fn open(source: &[u8]) -> Result<impl ImageDecoder + '_, Unreadable> {
    let mut reader =
        ImageReader::new(Cursor::new(source)).with_guessed_format().map_err(|_| Unreadable::Unknown)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOCATION);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Unreadable::TooManyPixels);
    }
    if decoder.total_bytes() > MAX_ALLOCATION {
        return Err(Unreadable::TooMuchMemory);
    }
    Ok(decoder)
}

/// A picture whose pixels the scaler understands.
fn scalable(picture: DynamicImage) -> DynamicImage {
    if picture.pixel_type().is_some() { picture } else { picture.into_rgba8().into() }
}

/// Scales first and turns the small picture: the box is square, so the result is the same.
fn derive(
    picture: &DynamicImage,
    preset: Preset,
    orientation: Orientation,
    profile: Option<&[u8]>,
) -> Result<Rendered, Unreadable> {
    let (width, height) = fit(picture.width(), picture.height(), preset.edge());
    let mut small = DynamicImage::new(width, height, picture.color());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(picture, &mut small, &options).map_err(|_| Unreadable::Unknown)?;
    small.apply_orientation(orientation);
    let flat = flatten(small);
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    if let Some(profile) = profile {
        // Without it the colours are a little off; that is no reason to refuse the picture.
        let _ = encoder.set_icc_profile(profile.to_vec());
    }
    encoder.write_image(flat.as_raw(), flat.width(), flat.height(), ExtendedColorType::Rgb8)?;
    Ok(Rendered { preset, width: flat.width(), height: flat.height(), jpeg })
}

/// The largest size of the same shape within a square of `edge`, and never larger than it was.
fn fit(width: u32, height: u32, edge: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= edge {
        return (width, height);
    }
    let scale = |side: u32| {
        let rounded = (u64::from(side) * u64::from(edge) + u64::from(longest) / 2) / u64::from(longest);
        u32::try_from(rounded).unwrap_or(edge).clamp(1, edge)
    };
    (scale(width), scale(height))
}

/// JPEG has no transparency: what shines through is white.
fn flatten(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        let over_white = |channel: u32| {
            let mixed = (channel * alpha + 255 * (255 - alpha) + 127) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        image::Rgb([over_white(red), over_white(green), over_white(blue)])
    })
}

/// Whether an ICC profile describes RGB, which is what is written (ICC.1:2022, 7.2.6).
fn is_for_rgb(profile: &[u8]) -> bool {
    profile.len() <= MAX_PROFILE && profile.get(16..20) == Some(b"RGB ")
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb, Rgba, RgbaImage};

    use super::*;

    const RED: Rgb<u8> = Rgb([255, 0, 0]);
    const GREEN: Rgb<u8> = Rgb([0, 255, 0]);
    const BLUE: Rgb<u8> = Rgb([0, 0, 255]);
    const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

    /// 64 x 32; red and green above blue and white.
    fn quarters() -> RgbImage {
        RgbImage::from_fn(64, 32, |x, y| match (x < 32, y < 16) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => WHITE,
        })
    }

    fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).expect("encodes");
        bytes.into_inner()
    }

    /// Puts an EXIF segment with nothing but the orientation behind a JPEG's first marker.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        [&jpeg[..2], &exif, &jpeg[2..]].concat()
    }

    fn name(pixel: Rgb<u8>) -> char {
        match pixel.0.map(|channel| channel > 128) {
            [true, false, false] => 'R',
            [false, true, false] => 'G',
            [false, false, true] => 'B',
            [true, true, true] => 'W',
            _ => '?',
        }
    }

    /// The colours of the corners: above left and right, below left and right.
    fn corners(rendered: &Rendered) -> String {
        let picture = image::load_from_memory(&rendered.jpeg).expect("a JPEG").into_rgb8();
        assert_eq!((picture.width(), picture.height()), (rendered.width, rendered.height));
        let (right, below) = (picture.width() - 4, picture.height() - 4);
        [(3, 3), (right, 3), (3, below), (right, below)]
            .map(|(x, y)| name(*picture.get_pixel(x, y)))
            .iter()
            .collect()
    }

    fn one(source: &[u8], preset: Preset) -> Rendered {
        render(source, &[preset]).expect("renders").remove(0)
    }

    #[test]
    fn every_orientation_comes_out_upright() {
        let jpeg = encode(quarters(), ImageFormat::Jpeg);
        let expected = [
            (1, "RGBW", (64, 32)),
            (2, "GRWB", (64, 32)),
            (3, "WBGR", (64, 32)),
            (4, "BWRG", (64, 32)),
            (5, "RBGW", (32, 64)),
            (6, "BRWG", (32, 64)),
            (7, "WGBR", (32, 64)),
            (8, "GWRB", (32, 64)),
            (9, "RGBW", (64, 32)),
            (0, "RGBW", (64, 32)),
        ];
        for (orientation, seen, size) in expected {
            let rendered = one(&with_orientation(&jpeg, orientation), Preset::Small);
            assert_eq!(corners(&rendered), seen, "orientation {orientation}");
            assert_eq!((rendered.width, rendered.height), size, "orientation {orientation}");
            assert!(!rendered.jpeg.windows(4).any(|four| four == b"Exif"), "metadata is left behind");
        }
    }

    #[test]
    fn pictures_fit_the_box_and_never_grow() {
        for (size, edge, fitted) in [
            ((4000, 3000), 1024, (1024, 768)),
            ((3000, 4000), 256, (192, 256)),
            ((200, 100), 256, (200, 100)),
            ((256, 256), 256, (256, 256)),
            ((257, 256), 256, (256, 255)),
            ((100_000, 1), 256, (256, 1)),
            ((1, 1), 256, (1, 1)),
        ] {
            assert_eq!(fit(size.0, size.1, edge), fitted, "{size:?}");
        }
    }

    #[test]
    fn every_format_and_pixel_kind_is_rendered() {
        let rgb = quarters();
        let large =
            DynamicImage::from(rgb.clone()).resize_exact(1300, 650, image::imageops::FilterType::Nearest);
        for format in
            [ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff]
        {
            let sizes: Vec<_> = render(&encode(large.clone(), format), &Preset::ALL)
                .expect("renders")
                .iter()
                .map(|rendered| {
                    assert_eq!(corners(rendered), "RGBW", "{format:?}");
                    (rendered.width, rendered.height)
                })
                .collect();
            assert_eq!(sizes, [(256, 128), (1024, 512)], "{format:?}");
        }
        let source = DynamicImage::from(rgb);
        for picture in [
            DynamicImage::from(source.to_luma8()),
            source.to_luma16().into(),
            source.to_luma_alpha8().into(),
            source.to_luma_alpha16().into(),
            source.to_rgb16().into(),
            source.to_rgba16().into(),
        ] {
            let rendered = one(&encode(picture, ImageFormat::Png), Preset::Small);
            assert_eq!((rendered.width, rendered.height), (64, 32));
        }
    }

    #[test]
    fn transparency_becomes_white() {
        let clear = RgbaImage::from_pixel(400, 300, Rgba([0, 0, 0, 0]));
        assert_eq!(corners(&one(&encode(clear, ImageFormat::Png), Preset::Small)), "WWWW");
        let half = flatten(RgbaImage::from_pixel(1, 1, Rgba([255, 0, 0, 128])).into());
        assert_eq!(half.get_pixel(0, 0).0, [255, 127, 127]);
    }

    /// CRC-32 as PNG wants it.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(
                crc ^ u32::from(*byte),
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
            )
        })
    }

    /// A PNG of a few bytes that claims a size.
    fn png_bomb(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = encode(RgbImage::new(1, 1), ImageFormat::Png);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let sum = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn bombs_are_refused_by_their_header() {
        let gif = [&b"GIF89a\xff\xff\xff\xff\0\0\0"[..], b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x01\0\0\x3b"]
            .concat();
        let mut bmp = encode(RgbImage::new(1, 1), ImageFormat::Bmp);
        bmp[18..22].copy_from_slice(&60_000_i32.to_le_bytes());
        bmp[22..26].copy_from_slice(&60_000_i32.to_le_bytes());
        for (kind, bomb) in [("png", png_bomb(50_000, 50_000)), ("gif", gif), ("bmp", bmp)] {
            let start = std::time::Instant::now();
            for refused in [weigh(&bomb).map(drop), render(&bomb, &Preset::ALL).map(drop)] {
                let reason = refused.expect_err(kind);
                assert!(
                    matches!(reason, Unreadable::TooManyPixels | Unreadable::TooMuchMemory),
                    "{kind}: {reason:?}"
                );
            }
            assert!(start.elapsed().as_millis() < 500, "{kind} took {:?}", start.elapsed());
        }
        assert!(weigh(&png_bomb(9_000, 9_000)).expect("81 million pixels pass") > 400_000_000);
    }

    #[test]
    fn what_is_no_image_has_a_reason() {
        let jpeg = encode(quarters(), ImageFormat::Jpeg);
        for (what, bytes) in [
            ("empty", Vec::new()),
            ("text", b"hello, I am a text".to_vec()),
            ("half a PNG", encode(quarters(), ImageFormat::Png)[..60].to_vec()),
            ("only a JPEG's start", jpeg[..20].to_vec()),
            ("a size of nothing", png_bomb(0, 0)),
            ("pixels that are missing", png_bomb(5_000, 5_000)),
        ] {
            let reason = render(&bytes, &Preset::ALL).expect_err(what).to_string();
            assert!(reason.ends_with('.'), "{what}: {reason}");
        }
    }
}
