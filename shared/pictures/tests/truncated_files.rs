//! A truncated file shows its complete part, or is rejected with a reason that says so.

use std::io::Cursor;
use std::sync::LazyLock;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, RgbaImage};
use plinth_domain::preset::Recipe;
use plinth_pictures::{RenderedImage, Unreadable, render, required_memory};
use proptest::prelude::*;

const WIDTH: u32 = 48;
const HEIGHT: u32 = 64;
const MAX_PIXELS: u64 = 1_000_000;

const FULL: &str = "64x64 contain png";

/// Pixels of a few strong colours, so that rows differ and GIF keeps the colours.
fn picture() -> RgbImage {
    let mut random = 7_u32;
    RgbImage::from_fn(WIDTH, HEIGHT, |_, _| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([31, 30, 29].map(|bit| if random >> bit & 1 == 1 { 250 } else { 10 }))
    })
}

/// A picture that gets darker from top to bottom.
fn smooth() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |_, y| {
        Rgb([230, 200 - u8::try_from(2 * y).expect("a byte"), 30])
    })
}

fn encode(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture())
        .write_to(&mut bytes, format)
        .expect("encodes");
    bytes.into_inner()
}

fn jpeg(picture: &RgbImage, is_progressive: bool) -> Vec<u8> {
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    if is_progressive {
        encoder.set_progressive_mode();
    } else {
        encoder.set_fastest_defaults();
    }
    encoder.set_size(48, 64);
    encoder.set_quality(90.0);
    let mut started = encoder.start_compress(Vec::new()).expect("starts");
    started.write_scanlines(picture).expect("encodes");
    started.finish().expect("encodes")
}

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

/// Returns zlib's format (RFC 1950) with stored blocks (RFC 1951, section 3.2.4), without the
/// checksum at its end.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let blocks = bytes.chunks(1000).flat_map(|block| {
        let length = u16::try_from(block.len()).expect("short");
        [
            &[0][..],
            &length.to_le_bytes(),
            &(!length).to_le_bytes(),
            block,
        ]
        .concat()
    });
    [0x78, 0x01].into_iter().chain(blocks).collect()
}

/// The first pixel and the step of each pass, across and down (PNG, section 8).
const ADAM7: [[usize; 4]; 7] = [
    [0, 8, 0, 8],
    [4, 8, 0, 8],
    [0, 4, 4, 8],
    [2, 4, 0, 4],
    [0, 2, 2, 4],
    [1, 2, 0, 2],
    [0, 1, 1, 2],
];

/// Returns a PNG whose pixels are in several chunks.
fn png_of(picture: &RgbImage, is_interlaced: bool) -> Vec<u8> {
    let (width, height) = picture.dimensions();
    let mut rows = Vec::new();
    let passes = if is_interlaced {
        &ADAM7[..]
    } else {
        &[[0, 1, 0, 1]]
    };
    for [left, across, top, down] in passes {
        for y in (0..height).skip(*top).step_by(*down) {
            rows.push(0);
            for x in (0..width).skip(*left).step_by(*across) {
                rows.extend(picture.get_pixel(x, y).0);
            }
        }
    }
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[8, 2, 0, 0, u8::from(is_interlaced)],
    ]
    .concat();
    let mut file = [b"\x89PNG\r\n\x1a\n", chunk(*b"IHDR", &header).as_slice()].concat();
    for data in stored(&rows).chunks(1500) {
        file.extend(chunk(*b"IDAT", data));
    }
    file
}

fn png(is_interlaced: bool) -> Vec<u8> {
    png_of(&picture(), is_interlaced)
}

fn gif(is_interlaced: bool) -> Vec<u8> {
    let pixels = picture();
    let mut palette: Vec<[u8; 3]> = pixels.pixels().map(|pixel| pixel.0).collect();
    palette.sort_unstable();
    palette.dedup();
    let number = |pixel: &Rgb<u8>| {
        u8::try_from(
            palette
                .binary_search(&pixel.0)
                .expect("a colour of the palette"),
        )
        .expect("few colours")
    };
    let rows: Vec<Vec<u8>> = pixels.rows().map(|row| row.map(number).collect()).collect();
    let passes: &[(usize, usize)] = if is_interlaced {
        &[(0, 8), (4, 8), (2, 4), (1, 2)]
    } else {
        &[(0, 1)]
    };
    let rows: Vec<u8> = passes
        .iter()
        .flat_map(|(first, step)| rows[*first..].iter().step_by(*step).flatten())
        .copied()
        .collect();
    let mut file = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut file, 48, 64, palette.as_flattened()).expect("encodes");
    let frame = gif::Frame {
        width: 48,
        height: 64,
        interlaced: is_interlaced,
        buffer: rows.into(),
        ..gif::Frame::default()
    };
    encoder.write_frame(&frame).expect("encodes");
    drop(encoder);
    file
}

fn recipes(texts: &[&str]) -> Vec<Recipe> {
    texts
        .iter()
        .map(|text| text.parse().expect("a recipe"))
        .collect()
}

fn rendered(file: &[u8], recipe: &str) -> Result<RenderedImage, Unreadable> {
    render(file, &recipes(&[recipe]), MAX_PIXELS).map(|mut picture| picture.images.remove(0))
}

fn rendered_picture(file: &[u8], recipe: &str) -> RgbaImage {
    let rendered = rendered(file, recipe).expect("renders");
    image::load_from_memory(&rendered.bytes)
        .expect("an image")
        .into_rgba8()
}

/// Returns the number of first rows that are unchanged, and asserts that all others are
/// transparent.
#[track_caller]
fn unchanged_rows(cut: &RgbaImage) -> u32 {
    let picture = picture();
    assert_eq!(cut.dimensions(), picture.dimensions());
    let is_unchanged = |y: u32| {
        (0..WIDTH).all(|x| {
            let [red, green, blue] = picture.get_pixel(x, y).0;
            cut.get_pixel(x, y).0 == [red, green, blue, 255]
        })
    };
    let count = (0..HEIGHT).take_while(|y| is_unchanged(*y)).count();
    assert!(
        cut.rows()
            .skip(count)
            .flatten()
            .all(|pixel| pixel.0[3] == 0),
        "{count} rows"
    );
    u32::try_from(count).expect("few")
}

#[test]
fn a_truncated_png_shows_its_first_rows() {
    let file = png(false);
    assert_eq!(
        unchanged_rows(&rendered_picture(&file, FULL)),
        HEIGHT,
        "only the end marker is missing"
    );
    let mut fewer = HEIGHT;
    for tenths in [8, 5, 2] {
        let cut = &file[..file.len() * tenths / 10];
        let rows = unchanged_rows(&rendered_picture(cut, FULL));
        assert!(rows > 0 && rows < fewer, "{rows} of {tenths} tenths");
        fewer = rows;
        // JPEG has no transparency.
        let flat = rendered_picture(cut, "64x64 contain jpeg q90");
        assert!(
            flat.get_pixel(9, HEIGHT - 1)
                .0
                .iter()
                .all(|channel| *channel > 245)
        );
    }
}

/// The decoder holds back the last 32 KiB of data, because later data may refer to them.
#[test]
fn a_png_shows_the_rows_before_the_damage() {
    let small = picture();
    let large = RgbImage::from_fn(256, 200, |x, y| *small.get_pixel(x % WIDTH, y % HEIGHT));
    let whole = png_of(&large, false);
    // In the 68th chunk of pixels, the 101st block gets an invalid kind.
    let data = 33 + 67 * (8 + 1500 + 4) + 8;
    let mut wrong_sum = whole.clone();
    wrong_sum[data + 1500] ^= 1;
    let mut wrong_data = whole;
    wrong_data[data + 2 + 100 * 1005 - 67 * 1500] = 7;
    let summed = crc32fast::hash(&wrong_data[data - 4..data + 1500]);
    wrong_data[data + 1500..data + 1504].copy_from_slice(&summed.to_be_bytes());
    for (case, file) in [("sum", wrong_sum), ("data", wrong_data)] {
        let cut = rendered_picture(&file, "256x256 contain png");
        assert_eq!(cut.dimensions(), large.dimensions(), "{case}");
        let rows = cut
            .rows()
            .take_while(|row| row.clone().all(|pixel| pixel.0[3] == 255))
            .count();
        assert!((60..140).contains(&rows), "{case}: {rows}");
        for (x, y, pixel) in cut.enumerate_pixels() {
            let [red, green, blue] = large.get_pixel(x, y).0;
            let is_unchanged = usize::try_from(y).is_ok_and(|y| y < rows);
            assert_eq!(
                pixel.0,
                if is_unchanged {
                    [red, green, blue, 255]
                } else {
                    [0; 4]
                },
                "{case}: {x} {y}"
            );
        }
    }
}

#[test]
fn a_truncated_interlaced_png_shows_its_first_passes() {
    let (file, picture) = (png(true), picture());
    assert_eq!(unchanged_rows(&rendered_picture(&file, FULL)), HEIGHT);
    // The first three passes have a sixteenth of the pixels: one of each square of 4 x 4.
    let first_three = 3 * 48 * 64 / 16 + 3 * 8;
    let cut = rendered_picture(&file[..33 + 8 + 7 + first_three + 20], FULL);
    for (x, y, pixel) in cut.enumerate_pixels() {
        let [red, green, blue] = picture.get_pixel(x / 4 * 4, y / 4 * 4).0;
        assert_eq!(pixel.0, [red, green, blue, 255], "{x} {y}");
    }
    // Within the first pass, only some rows of its squares are complete.
    let cut = rendered_picture(&file[..33 + 8 + 7 + 40], FULL);
    assert_eq!(
        [7, 8, 15, 16].map(|y| cut.get_pixel(0, y).0[3]),
        [255, 255, 255, 0]
    );
}

#[test]
fn a_truncated_gif_shows_its_first_rows() {
    let file = gif(false);
    assert_eq!(
        unchanged_rows(&rendered_picture(&file[..file.len() - 1], FULL)),
        HEIGHT,
        "only the end marker is missing"
    );
    let half = unchanged_rows(&rendered_picture(&file[..file.len() / 2], FULL));
    assert!((HEIGHT / 4..HEIGHT * 3 / 4).contains(&half), "{half}");
    let file = gif(true);
    assert_eq!(unchanged_rows(&rendered_picture(&file, FULL)), HEIGHT);
    // After the first quarter of the rows, one of each four rows fills the others.
    let (cut, picture) = (
        rendered_picture(&file[..file.len() * 4 / 10], FULL),
        picture(),
    );
    for (x, y, pixel) in cut.enumerate_pixels() {
        let [red, green, blue] = picture.get_pixel(x, y / 4 * 4).0;
        if y % 4 != 2 && y % 4 != 3 {
            assert_eq!(pixel.0, [red, green, blue, 255], "{x} {y}");
        }
        assert_eq!(pixel.0[3], 255);
    }
}

fn is_close(
    one: &RgbaImage,
    other: &RgbaImage,
    rows: std::ops::Range<u32>,
    max_difference: u8,
) -> bool {
    rows.flat_map(|y| (0..WIDTH).map(move |x| (x, y)))
        .all(|(x, y)| {
            let (one, other) = (one.get_pixel(x, y).0, other.get_pixel(x, y).0);
            one.iter()
                .zip(other)
                .all(|(one, other)| one.abs_diff(other) <= max_difference)
        })
}

#[test]
fn a_jpeg_without_its_end_marker_is_shown_unchanged() {
    for file in [jpeg(&picture(), false), jpeg(&picture(), true)] {
        assert!(rendered_picture(&file, FULL) == rendered_picture(&file[..file.len() - 2], FULL));
    }
}

#[test]
fn a_truncated_jpeg_shows_its_first_rows_above_grey() {
    let file = jpeg(&picture(), false);
    let (whole, cut) = (
        rendered_picture(&file, FULL),
        rendered_picture(&file[..file.len() * 6 / 10], FULL),
    );
    assert!(is_close(&whole, &cut, 0..HEIGHT / 4, 0));
    assert_eq!(cut.get_pixel(WIDTH - 1, HEIGHT - 1).0, [128, 128, 128, 255]);
}

#[test]
fn a_truncated_progressive_jpeg_shows_all_rows_after_its_first_scans() {
    let file = jpeg(&smooth(), true);
    let scans: Vec<usize> = (0..file.len() - 1)
        .filter(|at| file[*at..*at + 2] == [0xff, 0xda])
        .collect();
    assert!(scans.len() > 2, "{scans:?}");
    let whole = rendered_picture(&file, FULL);
    // Truncated within a scan, within the header of one, and within the tables before one.
    let last = scans[scans.len() - 1];
    for length in [file.len() - 10, last + 5, last - 3] {
        assert!(
            is_close(
                &whole,
                &rendered_picture(&file[..length], FULL),
                0..HEIGHT,
                40
            ),
            "{length} bytes"
        );
    }
}

#[test]
fn a_file_without_a_complete_row_is_reported_as_truncated() {
    let start_of_scan = |file: &[u8]| {
        let at = file
            .windows(2)
            .position(|two| two == [0xff, 0xda])
            .expect("the file has one");
        at + 2 + usize::from(file[at + 3])
    };
    let (baseline, progressive) = (jpeg(&picture(), false), jpeg(&picture(), true));
    let first_frame = gif(false)
        .windows(2)
        .position(|two| two == [0x2c, 0])
        .expect("the file has one");
    for (case, cut) in [
        ("tables of a JPEG", &baseline[..30]),
        ("a JPEG without data", &baseline[..start_of_scan(&baseline)]),
        (
            "a progressive JPEG without data",
            &progressive[..start_of_scan(&progressive)],
        ),
        ("a PNG's header", &png(false)[..40]),
        ("a PNG's first pixels", &png(false)[..100]),
        ("a GIF's header", &gif(false)[..10]),
        ("a GIF's first pixels", &gif(false)[..first_frame + 20]),
        ("half a WebP", &encode(ImageFormat::WebP)[..300]),
        ("half a BMP", &encode(ImageFormat::Bmp)[..300]),
        ("half a TIFF", &encode(ImageFormat::Tiff)[..300]),
        (
            "half an AVIF",
            &include_bytes!("fixtures/camera.avif")[..200],
        ),
    ] {
        assert_eq!(rendered(cut, FULL), Err(Unreadable::CutOff), "{case}");
    }
    assert_eq!(
        Unreadable::CutOff.to_string(),
        "The file ends before the image does."
    );
}

static ALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let fixtures: [&[u8]; 7] = [
        include_bytes!("fixtures/arithmetic.jpg"),
        include_bytes!("fixtures/arithmetic-progressive.jpg"),
        include_bytes!("fixtures/huffman.tif"),
        include_bytes!("fixtures/g3-2d-fill.tif"),
        include_bytes!("fixtures/g4-tiled.tif"),
        include_bytes!("fixtures/big.tif"),
        include_bytes!("fixtures/camera.avif"),
    ];
    let mut all = vec![
        jpeg(&picture(), false),
        jpeg(&smooth(), true),
        png(false),
        png(true),
        gif(false),
        gif(true),
        encode(ImageFormat::WebP),
        encode(ImageFormat::Bmp),
        encode(ImageFormat::Tiff),
    ];
    all.extend(fixtures.map(<[u8]>::to_vec));
    all
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_file_truncated_at_any_byte_is_rendered_or_rejected(
        kind in any::<prop::sample::Index>(), length in any::<prop::sample::Index>(),
    ) {
        let whole = kind.get(ALL.as_slice());
        let size = |rendered: &RenderedImage| (rendered.width, rendered.height);
        let expected = size(&rendered(whole, "256x256 contain png").expect("the whole file renders"));
        let cut = &whole[..length.index(whole.len())];
        let all = recipes(&["256x256 contain png", "16x16 cover webp q75", "20x20 contain jpeg q80"]);
        let memory = required_memory(cut, &all, MAX_PIXELS);
        match render(cut, &all, MAX_PIXELS) {
            Ok(picture) => {
                prop_assert!(memory.is_ok());
                prop_assert_eq!(size(&picture.images[0]), expected);
                for image in &picture.images {
                    prop_assert!(image::load_from_memory(&image.bytes).is_ok());
                }
            }
            // The first bytes do not identify the format.
            Err(reason) if cut.len() < 12 => prop_assert!(reason.to_string().ends_with('.')),
            Err(reason) => prop_assert_eq!(reason, Unreadable::CutOff),
        }
    }

    #[test]
    fn a_truncated_file_with_a_changed_byte_is_rendered_or_rejected(
        kind in any::<prop::sample::Index>(), length in any::<prop::sample::Index>(),
        position in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let whole = kind.get(ALL.as_slice());
        let mut cut = whole[..=length.index(whole.len())].to_vec();
        let position = position.index(cut.len());
        cut[position] = byte;
        if let Ok(rendered) = rendered(&cut, "64x64 cover webp q75") {
            prop_assert!(rendered.width <= 64 && rendered.height <= 64);
        }
    }
}
