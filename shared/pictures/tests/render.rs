//! Files are rendered to derived images, or rejected with a reason.

use std::io::Cursor;

use image::{DynamicImage, ImageEncoder as _, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use plinth_domain::preset::Recipe;
use plinth_pictures::{RenderedImage, Unreadable, render, required_memory};

const MAX_PIXELS: u64 = 100_000_000;

const RED: Rgb<u8> = Rgb([255, 0, 0]);
const GREEN: Rgb<u8> = Rgb([0, 255, 0]);
const BLUE: Rgb<u8> = Rgb([0, 0, 255]);
const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

/// A picture of 64 x 32: red and green above blue and white.
fn quarters() -> RgbImage {
    RgbImage::from_fn(64, 32, |x, y| match (x < 32, y < 16) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => WHITE,
    })
}

/// Files that no encoder here writes; fixtures/README.md describes them.
macro_rules! avif {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name, ".avif")).as_slice()
    };
}

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .into()
        .write_to(&mut bytes, format)
        .expect("encodes");
    bytes.into_inner()
}

/// Inserts an EXIF segment with only the orientation after a JPEG's first marker.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif =
        b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
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

/// Returns the colours of the corners: top left and right, bottom left and right.
fn corners(rendered: &RenderedImage) -> String {
    let picture = image::load_from_memory(&rendered.bytes)
        .expect("an image")
        .into_rgb8();
    assert_eq!(
        (picture.width(), picture.height()),
        (rendered.width, rendered.height)
    );
    let (right, below) = (picture.width() - 4, picture.height() - 4);
    [(3, 3), (right, 3), (3, below), (right, below)]
        .map(|(x, y)| name(*picture.get_pixel(x, y)))
        .iter()
        .collect()
}

const SMALL: &str = "256x256 contain webp q75";
const LARGE: &str = "1024x1024 contain jpeg q82";

fn recipes(texts: &[&str]) -> Vec<Recipe> {
    texts
        .iter()
        .map(|text| text.parse().expect("a recipe"))
        .collect()
}

fn all(file: &[u8], texts: &[&str]) -> Vec<RenderedImage> {
    render(file, &recipes(texts), MAX_PIXELS)
        .expect("renders")
        .images
}

fn one(file: &[u8], recipe: &str) -> RenderedImage {
    all(file, &[recipe]).remove(0)
}

#[test]
fn every_orientation_is_rendered_upright() {
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
    for (orientation, actual, size) in expected {
        let rendered = one(&with_orientation(&jpeg, orientation), SMALL);
        assert_eq!(corners(&rendered), actual, "orientation {orientation}");
        assert_eq!(
            (rendered.width, rendered.height),
            size,
            "orientation {orientation}"
        );
        assert!(
            !rendered.bytes.windows(4).any(|four| four == b"Exif"),
            "metadata is removed"
        );
    }
}

#[test]
fn every_format_and_pixel_kind_is_rendered() {
    let rgb = quarters();
    let large = DynamicImage::from(rgb.clone()).resize_exact(
        1300,
        650,
        image::imageops::FilterType::Nearest,
    );
    for format in [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ] {
        let sizes: Vec<_> = all(&encode(large.clone(), format), &[SMALL, LARGE])
            .iter()
            .map(|rendered| {
                assert_eq!(corners(rendered), "RGBW", "{format:?}");
                (rendered.width, rendered.height)
            })
            .collect();
        assert_eq!(sizes, [(256, 128), (1024, 512)], "{format:?}");
    }
    let source = DynamicImage::from(rgb);
    assert_eq!(corners(&one(avif!("eight-420"), SMALL)), "RGBW");
    for picture in [
        DynamicImage::from(source.to_luma8()),
        source.to_luma16().into(),
        source.to_luma_alpha8().into(),
        source.to_luma_alpha16().into(),
        source.to_rgb16().into(),
        source.to_rgba16().into(),
    ] {
        let rendered = one(&encode(picture, ImageFormat::Png), SMALL);
        assert_eq!((rendered.width, rendered.height), (64, 32));
    }
}

/// Returns the colours in the middle of the quarters, after rendering a file to a PNG in full size.
fn middles(file: &[u8]) -> [[u8; 4]; 4] {
    let rendered = one(file, "64x64 contain png");
    let picture = image::load_from_memory(&rendered.bytes)
        .expect("an image")
        .into_rgba8();
    let (width, height) = picture.dimensions();
    [(1, 1), (3, 1), (1, 3), (3, 3)]
        .map(|(x, y)| picture.get_pixel(width * x / 4, height * y / 4).0)
}

fn assert_close(case: &str, actual: [[u8; 4]; 4], expected: [[u8; 4]; 4]) {
    let is_close = actual
        .iter()
        .flatten()
        .zip(expected.iter().flatten())
        .all(|(one, other)| one.abs_diff(*other) < 6);
    assert!(is_close, "{case}: {actual:?} {expected:?}");
}

#[test]
fn avif_is_rendered_at_every_depth_and_with_every_encoding_of_colours() {
    let opaque = |pixel: Rgb<u8>| [pixel.0[0], pixel.0[1], pixel.0[2], 255];
    for (case, file) in [
        ("eight-420", avif!("eight-420")),
        ("ten-422", avif!("ten-422")),
        ("twelve-444", avif!("twelve-444")),
        ("twelve-420", avif!("twelve-420")),
        ("identity", avif!("identity")),
        ("ycgco", avif!("ycgco")),
    ] {
        assert_close(case, middles(file), [RED, GREEN, BLUE, WHITE].map(opaque));
        let sizes = all(file, &[SMALL, LARGE]);
        assert!(
            sizes
                .iter()
                .all(|rendered| (rendered.width, rendered.height) == (63, 31)),
            "{case}"
        );
        assert_eq!(corners(&sizes[0]), "RGBW", "{case}");
    }
    // The luma values of BT.601.
    assert_close(
        "grey",
        middles(avif!("grey")),
        [76, 150, 29, 255].map(|grey| [grey, grey, grey, 255]),
    );
    // The still picture of an animation.
    assert_close("moving", middles(avif!("moving")), [[255, 0, 0, 255]; 4]);
}

#[test]
fn the_alpha_picture_of_an_avif_sets_its_transparency() {
    for (case, file) in [
        ("alpha", avif!("alpha")),
        ("premultiplied", avif!("premultiplied")),
    ] {
        let mut actual = middles(file);
        // A transparent pixel has no defined colour.
        actual[0] = [0, 0, 0, actual[0][3]];
        assert_close(
            case,
            actual,
            [
                [0, 0, 0, 0],
                [0, 255, 0, 128],
                [0, 0, 255, 255],
                [255, 255, 255, 255],
            ],
        );
        assert_eq!(
            corners(&one(file, "64x64 contain jpeg q90")).chars().nth(2),
            Some('B'),
            "{case}"
        );
    }
}

/// Returns the offset after a box's name.
fn offset_after(file: &[u8], name: &[u8]) -> usize {
    file.windows(4)
        .position(|four| four == name)
        .expect("the box exists")
        + 4
}

#[test]
fn only_the_container_rotates_an_avif() {
    let camera = avif!("camera");
    let rendered = render(camera, &recipes(&[SMALL]), MAX_PIXELS).expect("renders");
    assert_eq!(corners(&rendered.images[0]), "RGBW");
    assert_eq!(
        (rendered.picture.width, rendered.picture.height),
        (64, 32),
        "after rotation"
    );
    assert_eq!(
        rendered
            .picture
            .taken_at
            .expect("the time of the EXIF")
            .as_str(),
        "2024-05-01T12:33:00"
    );
    // The stored picture, rotated by quarters counter-clockwise, then flipped vertically or
    // horizontally.
    let (turns, side) = (offset_after(camera, b"irot"), offset_after(camera, b"imir"));
    for (turn, flipped_vertically, flipped_horizontally) in [
        (0, "GWRB", "BRWG"),
        (1, "RGBW", "WBGR"),
        (2, "BRWG", "GWRB"),
        (3, "WBGR", "RGBW"),
    ] {
        for (mirror, actual) in [(0, flipped_vertically), (1, flipped_horizontally)] {
            let mut file = camera.to_vec();
            (file[turns], file[side]) = (turn, mirror);
            assert_eq!(corners(&one(&file, SMALL)), actual, "{turn} {mirror}");
        }
    }
    for (turn, actual) in [(0, "RBGW"), (1, "BWRG"), (2, "WGBR"), (3, "GRWB")] {
        let mut file = camera.to_vec();
        file[turns] = turn;
        // The property becomes unknown and is no longer essential, by the last of the associations.
        file[side - 4..side].copy_from_slice(b"none");
        file[offset_after(camera, b"mdat") - 9] = 0x06;
        assert_eq!(corners(&one(&file, SMALL)), actual, "{turn}");
    }
}

#[test]
fn unsupported_kinds_of_avif_are_named_in_the_reason() {
    let mut cropped = avif!("camera").to_vec();
    let offset = offset_after(&cropped, b"irot");
    cropped[offset - 4..offset].copy_from_slice(b"clap");
    // The same property, not marked as essential. After version, flags, the number of items and the
    // id of the first item follow the number of its properties, and a byte for each.
    let mut optional = cropped.clone();
    let count = offset_after(&optional, b"ipma") + 10;
    let properties = count + 1..=count + usize::from(optional[count]);
    for property in &mut optional[properties] {
        *property &= 0x7f;
    }
    let mut without_still = avif!("moving").to_vec();
    let offset = offset_after(&without_still, b"meta");
    without_still[offset - 4..offset].copy_from_slice(b"free");
    for (case, file) in [
        ("tiles", avif!("tiles")),
        ("cropped", &cropped),
        ("cropped, not essential", &optional),
        ("without a still picture", &without_still),
    ] {
        assert_eq!(
            required_memory(file, &recipes(&[SMALL]), MAX_PIXELS),
            Err(Unreadable::Avif),
            "{case}"
        );
    }
}

#[test]
fn transparency_is_kept_or_becomes_white_in_jpeg() {
    let clear = RgbaImage::from_pixel(400, 300, Rgba([0, 0, 0, 0]));
    let clear = encode(clear, ImageFormat::Png);
    assert_eq!(corners(&one(&clear, LARGE)), "WWWW");
    for recipe in [SMALL, "256x256 contain png"] {
        let kept = image::load_from_memory(&one(&clear, recipe).bytes)
            .expect("an image")
            .into_rgba8();
        assert_eq!(kept.get_pixel(9, 9).0[3], 0, "{recipe}");
    }
}

/// Returns the CRC-32 of PNG.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

/// Returns a PNG of a few bytes whose header claims a size.
fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encode(RgbImage::new(1, 1), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[test]
fn decompression_bombs_are_rejected_by_their_header() {
    let gif = [
        &b"GIF89a\xff\xff\xff\xff\0\0\0"[..],
        b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x01\0\0\x3b",
    ]
    .concat();
    let mut bmp = encode(RgbImage::new(1, 1), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000_i32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000_i32.to_le_bytes());
    let small = recipes(&[SMALL]);
    let mut avif = avif!("alpha").to_vec();
    let size = offset_after(&avif, b"ispe") + 4;
    avif[size..size + 8].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    for (kind, bomb) in [
        ("png", png_bomb(50_000, 50_000)),
        ("gif", gif),
        ("bmp", bmp),
        ("avif", avif),
    ] {
        let start = std::time::Instant::now();
        for refused in [
            required_memory(&bomb, &small, MAX_PIXELS).map(drop),
            render(&bomb, &small, MAX_PIXELS).map(drop),
        ] {
            let reason = refused.expect_err(kind);
            assert!(
                matches!(
                    reason,
                    Unreadable::TooManyPixels | Unreadable::TooMuchMemory
                ),
                "{kind}: {reason:?}"
            );
        }
        assert!(
            start.elapsed().as_millis() < 500,
            "{kind} took {:?}",
            start.elapsed()
        );
    }
    assert!(
        required_memory(&png_bomb(9_000, 9_000), &small, MAX_PIXELS)
            .expect("81 million pixels are allowed")
            > 400_000_000
    );
}

#[test]
fn greyscale_and_cmyk_are_rendered() {
    let grey = encode(
        image::GrayImage::from_pixel(400, 300, image::Luma([200])),
        ImageFormat::Jpeg,
    );
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_CMYK);
    encoder.set_size(64, 64);
    let mut started = encoder.start_compress(Vec::new()).expect("starts");
    // Only yellow. Adobe's programs, whose marker the encoder writes, store inverted ink values.
    started
        .write_scanlines(&[255, 255, 0, 255].repeat(64 * 64))
        .expect("encodes");
    let cmyk = started.finish().expect("encodes");
    for (file, colour) in [(grey, [200, 200, 200]), (cmyk, [255, 255, 0])] {
        let actual = image::load_from_memory(&one(&file, SMALL).bytes)
            .expect("an image")
            .into_rgb8();
        let actual = actual.get_pixel(9, 9).0;
        assert!(
            actual
                .iter()
                .zip(colour)
                .all(|(actual, expected)| actual.abs_diff(expected) < 12),
            "{actual:?} {colour:?}"
        );
    }
}

#[test]
fn a_file_that_is_not_an_image_is_rejected_with_a_reason() {
    let jpeg = encode(quarters(), ImageFormat::Jpeg);
    for (case, bytes) in [
        ("empty", Vec::new()),
        ("text", b"hello, I am a text".to_vec()),
        (
            "half a PNG",
            encode(quarters(), ImageFormat::Png)[..60].to_vec(),
        ),
        ("only a JPEG's start", jpeg[..20].to_vec()),
        ("a size of nothing", png_bomb(0, 0)),
        (
            "a line of no height",
            b"GIF89a\x40\x09\0\0\0\0\0\x2c\0\0\0\0\x40\x09\0\0\0\x02\x01\0\0\x3b".to_vec(),
        ),
        ("pixels that are missing", png_bomb(5_000, 5_000)),
        ("a HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
    ] {
        let recipes = recipes(&[SMALL, "64x64 cover webp q75"]);
        let _ = required_memory(&bytes, &recipes, MAX_PIXELS);
        let reason = render(&bytes, &recipes, MAX_PIXELS)
            .expect_err(case)
            .to_string();
        assert!(reason.ends_with('.'), "{case}: {reason}");
    }
}

#[test]
fn cover_fills_the_box_with_the_middle_of_the_picture() {
    let jpeg = encode(quarters(), ImageFormat::Jpeg);
    for orientation in [1, 6] {
        let rendered = one(&with_orientation(&jpeg, orientation), "16x16 cover png");
        assert_eq!((rendered.width, rendered.height), (16, 16));
    }
    // A wide box on an upright picture: half of each of its colours remains.
    let rendered = one(&with_orientation(&jpeg, 6), "32x16 cover png");
    assert_eq!(
        ((rendered.width, rendered.height), corners(&rendered)),
        ((32, 16), "BRWG".to_owned())
    );
}

#[test]
fn metadata_is_returned_and_absent_from_the_images() {
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".to_vec();
    exif.extend(b"\x87\x69\0\x04\0\0\0\x01\0\0\0\x26\0\0\0\0");
    exif.extend(b"\0\x01\x90\x03\0\x02\0\0\0\x14\0\0\0\x38\0\0\0\0");
    exif.extend(b"2024:05:01 12:33:00\0");
    let mut segment = b"\xff\xe1".to_vec();
    segment.extend(u16::try_from(exif.len() + 8).expect("short").to_be_bytes());
    segment.extend(b"Exif\0\0");
    segment.extend(exif);
    let jpeg = encode(quarters(), ImageFormat::Jpeg);
    let file = [&jpeg[..2], &segment, &jpeg[2..]].concat();
    let recipes = recipes(&[SMALL, LARGE, "64x64 contain png"]);
    let rendered = render(&file, &recipes, MAX_PIXELS).expect("renders");
    let picture = rendered.picture;
    assert_eq!((picture.width, picture.height), (32, 64), "after rotation");
    assert_eq!(
        picture.taken_at.expect("the time of the EXIF").as_str(),
        "2024-05-01T12:33:00"
    );
    // 3 x 4 components of an upright picture: 6 characters, and two for each component except the
    // first.
    assert_eq!(
        picture
            .blurhash
            .expect("every picture has one")
            .as_str()
            .len(),
        6 + 2 * 11
    );
    for image in rendered.images {
        for trace in [&b"Exif"[..], b"2024", b"eXIf", b"EXIF"] {
            assert!(!image.bytes.windows(trace.len()).any(|part| part == trace));
        }
    }
}

/// Embeds a profile in a PNG.
fn with_profile(picture: &RgbImage, profile: &moxcms::ColorProfile) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder
        .set_icc_profile(profile.encode().expect("encodes"))
        .expect("fits");
    let (width, height) = picture.dimensions();
    encoder
        .write_image(picture, width, height, image::ExtendedColorType::Rgb8)
        .expect("encodes");
    bytes
}

#[test]
fn colours_are_converted_by_the_embedded_profile() {
    let orange = RgbImage::from_pixel(8, 8, Rgb([200, 120, 80]));
    let actual = |profile: &moxcms::ColorProfile| {
        let rendered = one(&with_profile(&orange, profile), "8x8 contain png");
        assert!(
            !rendered.bytes.windows(4).any(|four| four == b"iCCP"),
            "the profile is removed"
        );
        image::load_from_memory(&rendered.bytes)
            .expect("an image")
            .into_rgb8()
            .get_pixel(4, 4)
            .0
    };
    assert_eq!(actual(&moxcms::ColorProfile::new_srgb()), [200, 120, 80]);
    let wide = |[red, green, blue]: [u8; 3]| {
        assert!(
            red > 205 && green < 120 && blue < 80,
            "{red} {green} {blue}"
        );
    };
    wide(actual(&moxcms::ColorProfile::new_display_p3()));
    // AVIF can also define the colours by code points.
    for file in [avif!("icc"), avif!("wide")] {
        let picture =
            image::load_from_memory(&one(file, "8x8 contain png").bytes).expect("an image");
        wide(picture.into_rgb8().get_pixel(4, 4).0);
    }
}
