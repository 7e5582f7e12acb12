//! Files become derived images, or a reason in words.

use std::io::Cursor;

use image::{DynamicImage, ImageEncoder as _, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use plinth_domain::preset::Recipe;
use plinth_pictures::{Rendered, Unreadable, render, weigh};

const MAX_PIXELS: u64 = 100_000_000;

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

/// Files that nothing here could write: see the README beside them.
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

/// Puts an EXIF segment with nothing but the orientation behind a JPEG's first marker.
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

/// The colours of the corners: above left and right, below left and right.
fn corners(rendered: &Rendered) -> String {
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

fn all(file: &[u8], texts: &[&str]) -> Vec<Rendered> {
    render(file, &recipes(texts), MAX_PIXELS)
        .expect("renders")
        .images
}

fn one(file: &[u8], recipe: &str) -> Rendered {
    all(file, &[recipe]).remove(0)
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
        let rendered = one(&with_orientation(&jpeg, orientation), SMALL);
        assert_eq!(corners(&rendered), seen, "orientation {orientation}");
        assert_eq!(
            (rendered.width, rendered.height),
            size,
            "orientation {orientation}"
        );
        assert!(
            !rendered.bytes.windows(4).any(|four| four == b"Exif"),
            "metadata is left behind"
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

/// The colours in the middle of the quarters, of a PNG that was made of a file in full size.
fn middles(file: &[u8]) -> [[u8; 4]; 4] {
    let rendered = one(file, "64x64 contain png");
    let picture = image::load_from_memory(&rendered.bytes)
        .expect("an image")
        .into_rgba8();
    let (width, height) = picture.dimensions();
    [(1, 1), (3, 1), (1, 3), (3, 3)]
        .map(|(x, y)| picture.get_pixel(width * x / 4, height * y / 4).0)
}

fn assert_close(what: &str, seen: [[u8; 4]; 4], wanted: [[u8; 4]; 4]) {
    let is_close = seen
        .iter()
        .flatten()
        .zip(wanted.iter().flatten())
        .all(|(one, other)| one.abs_diff(*other) < 6);
    assert!(is_close, "{what}: {seen:?} {wanted:?}");
}

#[test]
fn avif_is_rendered_at_every_depth_and_by_every_way_to_write_colours() {
    let opaque = |pixel: Rgb<u8>| [pixel.0[0], pixel.0[1], pixel.0[2], 255];
    for (what, file) in [
        ("eight-420", avif!("eight-420")),
        ("ten-422", avif!("ten-422")),
        ("twelve-444", avif!("twelve-444")),
        ("twelve-420", avif!("twelve-420")),
        ("identity", avif!("identity")),
        ("ycgco", avif!("ycgco")),
    ] {
        assert_close(what, middles(file), [RED, GREEN, BLUE, WHITE].map(opaque));
        let sizes = all(file, &[SMALL, LARGE]);
        assert!(
            sizes
                .iter()
                .all(|rendered| (rendered.width, rendered.height) == (63, 31)),
            "{what}"
        );
        assert_eq!(corners(&sizes[0]), "RGBW", "{what}");
    }
    // As bright as BT.601 has them.
    assert_close(
        "grey",
        middles(avif!("grey")),
        [76, 150, 29, 255].map(|grey| [grey, grey, grey, 255]),
    );
    // The picture that stands for the moving ones.
    assert_close("moving", middles(avif!("moving")), [[255, 0, 0, 255]; 4]);
}

#[test]
fn avif_is_as_transparent_as_its_second_picture_says() {
    for (what, file) in [
        ("alpha", avif!("alpha")),
        ("premultiplied", avif!("premultiplied")),
    ] {
        let mut seen = middles(file);
        // What is clear has no colour.
        seen[0] = [0, 0, 0, seen[0][3]];
        assert_close(
            what,
            seen,
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
            "{what}"
        );
    }
}

/// The place behind a box's name.
fn behind(file: &[u8], name: &[u8]) -> usize {
    file.windows(4)
        .position(|four| four == name)
        .expect("the box is there")
        + 4
}

#[test]
fn avif_is_turned_by_its_container_and_by_nothing_else() {
    let camera = avif!("camera");
    let developed = render(camera, &recipes(&[SMALL]), MAX_PIXELS).expect("renders");
    assert_eq!(corners(&developed.images[0]), "RGBW");
    assert_eq!(
        (developed.picture.width, developed.picture.height),
        (64, 32),
        "as it is seen"
    );
    assert_eq!(
        developed.picture.taken_at.expect("it says so").as_str(),
        "2024-05-01T12:33:00"
    );
    // As it is stored, and turned by quarters against the clock; then above and below change places, or left and right.
    let (turns, side) = (behind(camera, b"irot"), behind(camera, b"imir"));
    for (turn, upside_down, left_right) in [
        (0, "GWRB", "BRWG"),
        (1, "RGBW", "WBGR"),
        (2, "BRWG", "GWRB"),
        (3, "WBGR", "RGBW"),
    ] {
        for (mirror, seen) in [(0, upside_down), (1, left_right)] {
            let mut file = camera.to_vec();
            (file[turns], file[side]) = (turn, mirror);
            assert_eq!(corners(&one(&file, SMALL)), seen, "{turn} {mirror}");
        }
    }
    for (turn, seen) in [(0, "RBGW"), (1, "BWRG"), (2, "WGBR"), (3, "GRWB")] {
        let mut file = camera.to_vec();
        file[turns] = turn;
        // Nobody knows it, and nobody has to any more: the last of the associations says so.
        file[side - 4..side].copy_from_slice(b"none");
        file[behind(camera, b"mdat") - 9] = 0x06;
        assert_eq!(corners(&one(&file, SMALL)), seen, "{turn}");
    }
}

#[test]
fn avif_of_other_kinds_is_refused_by_name() {
    let mut cropped = avif!("camera").to_vec();
    let place = behind(&cropped, b"irot");
    cropped[place - 4..place].copy_from_slice(b"clap");
    // The same, not marked as essential. Behind the version, the flags, the number of items and
    // the id of the first one are the number of its properties, and a byte for each.
    let mut optional = cropped.clone();
    let count = behind(&optional, b"ipma") + 10;
    let properties = count + 1..=count + usize::from(optional[count]);
    for property in &mut optional[properties] {
        *property &= 0x7f;
    }
    let mut alone = avif!("moving").to_vec();
    let place = behind(&alone, b"meta");
    alone[place - 4..place].copy_from_slice(b"free");
    for (what, file) in [
        ("tiles", avif!("tiles")),
        ("cropped", &cropped),
        ("cropped, not essential", &optional),
        ("only moving", &alone),
    ] {
        assert_eq!(
            weigh(file, &recipes(&[SMALL]), MAX_PIXELS),
            Err(Unreadable::Avif),
            "{what}"
        );
    }
}

#[test]
fn transparency_is_kept_and_becomes_white_where_there_is_none() {
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

/// CRC-32 as PNG wants it.
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
    let size = behind(&avif, b"ispe") + 4;
    avif[size..size + 8].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    for (kind, bomb) in [
        ("png", png_bomb(50_000, 50_000)),
        ("gif", gif),
        ("bmp", bmp),
        ("avif", avif),
    ] {
        let start = std::time::Instant::now();
        for refused in [
            weigh(&bomb, &small, MAX_PIXELS).map(drop),
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
        weigh(&png_bomb(9_000, 9_000), &small, MAX_PIXELS).expect("81 million pixels pass")
            > 400_000_000
    );
}

#[test]
fn grey_pictures_and_those_of_printers_are_read() {
    let grey = encode(
        image::GrayImage::from_pixel(400, 300, image::Luma([200])),
        ImageFormat::Jpeg,
    );
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_CMYK);
    encoder.set_size(64, 64);
    let mut started = encoder.start_compress(Vec::new()).expect("starts");
    // No ink but yellow; Adobe, whose marker says that it was here, stores how much of an ink is left out.
    started
        .write_scanlines(&[255, 255, 0, 255].repeat(64 * 64))
        .expect("encodes");
    let inks = started.finish().expect("encodes");
    for (file, colour) in [(grey, [200, 200, 200]), (inks, [255, 255, 0])] {
        let seen = image::load_from_memory(&one(&file, SMALL).bytes)
            .expect("an image")
            .into_rgb8();
        let seen = seen.get_pixel(9, 9).0;
        assert!(
            seen.iter()
                .zip(colour)
                .all(|(seen, wanted)| seen.abs_diff(wanted) < 12),
            "{seen:?} {colour:?}"
        );
    }
}

#[test]
fn what_is_no_image_has_a_reason() {
    let jpeg = encode(quarters(), ImageFormat::Jpeg);
    for (what, bytes) in [
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
        let _ = weigh(&bytes, &recipes, MAX_PIXELS);
        let reason = render(&bytes, &recipes, MAX_PIXELS)
            .expect_err(what)
            .to_string();
        assert!(reason.ends_with('.'), "{what}: {reason}");
    }
}

#[test]
fn the_box_is_filled_by_what_is_in_the_middle() {
    let jpeg = encode(quarters(), ImageFormat::Jpeg);
    for orientation in [1, 6] {
        let rendered = one(&with_orientation(&jpeg, orientation), "16x16 cover png");
        assert_eq!((rendered.width, rendered.height), (16, 16));
    }
    // A wide box of an upright picture: half of each of its colours is left.
    let rendered = one(&with_orientation(&jpeg, 6), "32x16 cover png");
    assert_eq!(
        ((rendered.width, rendered.height), corners(&rendered)),
        ((32, 16), "BRWG".to_owned())
    );
}

#[test]
fn what_is_known_of_a_picture_is_told_and_nothing_of_it_is_in_the_images() {
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
    let developed = render(&file, &recipes, MAX_PIXELS).expect("renders");
    let picture = developed.picture;
    assert_eq!((picture.width, picture.height), (32, 64), "as it is seen");
    assert_eq!(
        picture.taken_at.expect("it says so").as_str(),
        "2024-05-01T12:33:00"
    );
    // 3 x 4 components of a picture that stands upright: 6 letters, and two for each but the first.
    assert_eq!(
        picture
            .blurhash
            .expect("every picture has one")
            .as_str()
            .len(),
        6 + 2 * 11
    );
    for image in developed.images {
        for trace in [&b"Exif"[..], b"2024", b"eXIf", b"EXIF"] {
            assert!(!image.bytes.windows(trace.len()).any(|part| part == trace));
        }
    }
}

/// As cameras of phones embed it: the primaries of Display P3, whose red is redder than sRGB's.
fn with_profile(picture: &RgbImage, profile: &moxcms::ColorProfile) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder
        .set_icc_profile(profile.encode().expect("is written"))
        .expect("fits");
    let (width, height) = picture.dimensions();
    encoder
        .write_image(picture, width, height, image::ExtendedColorType::Rgb8)
        .expect("encodes");
    bytes
}

#[test]
fn colours_are_converted_by_the_profile_that_came_with_them() {
    let orange = RgbImage::from_pixel(8, 8, Rgb([200, 120, 80]));
    let seen = |profile: &moxcms::ColorProfile| {
        let rendered = one(&with_profile(&orange, profile), "8x8 contain png");
        assert!(
            !rendered.bytes.windows(4).any(|four| four == b"iCCP"),
            "the profile is not needed any more"
        );
        image::load_from_memory(&rendered.bytes)
            .expect("an image")
            .into_rgb8()
            .get_pixel(4, 4)
            .0
    };
    assert_eq!(seen(&moxcms::ColorProfile::new_srgb()), [200, 120, 80]);
    let wide = |[red, green, blue]: [u8; 3]| {
        assert!(
            red > 205 && green < 120 && blue < 80,
            "{red} {green} {blue}"
        );
    };
    wide(seen(&moxcms::ColorProfile::new_display_p3()));
    // AVIF says the same in a few numbers, too.
    for file in [avif!("icc"), avif!("wide")] {
        let picture =
            image::load_from_memory(&one(file, "8x8 contain png").bytes).expect("an image");
        wide(picture.into_rgb8().get_pixel(4, 4).0);
    }
}
