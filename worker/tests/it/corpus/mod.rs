//! A file of every format, colour space, depth, orientation and container quirk, rendered in the
//! real sandbox. Each row of the tables has the file and its expected colours.

mod bmp;
mod containers;
mod gif;
mod png;
mod quarters;
mod tiff;

use std::collections::HashSet;
use std::io::Cursor;

use image::{ImageFormat, RgbImage, RgbaImage};
use plinth_domain::preset::Recipe;
use plinth_worker::files::ImageSandbox;

use super::sandbox::program;
use containers::{jpeg, jpeg_with_profile, webp_with_exif, webp_with_profile};
use gif::Gif;
use png::png;
use quarters::{HEIGHT, INDICES, Quarters, RGB, RGB_16, WIDTH, exif, prefixed};
use tiff::tiff;

/// Files that `make.py`, in their folder, has generated.
macro_rules! generated {
    ($name:literal) => {
        include_bytes!(concat!("../../corpus/", $name)).as_slice()
    };
}

/// Files from the tests of `shared/pictures`.
macro_rules! avif {
    ($name:literal) => {
        include_bytes!(concat!(
            "../../../../shared/pictures/tests/fixtures/",
            $name,
            ".avif"
        ))
        .as_slice()
    };
}

/// The colours of the quarters for each EXIF orientation of an image that is stored upright.
const BY_ORIENTATION: [(u8, &str); 8] = [
    (1, "R G B W"),
    (2, "G R W B"),
    (3, "W B G R"),
    (4, "B W R G"),
    (5, "R B G W"),
    (6, "B R W G"),
    (7, "W G B R"),
    (8, "G W R B"),
];

/// Black and white.
const BILEVEL: Quarters = [&[0], &[1], &[1], &[0]];
/// Black, two greys, and white.
const GREY_4: Quarters = [&[0], &[5], &[10], &[15]];
const GREY: Quarters = [&[0], &[80], &[128], &[255]];
const GREY_16: Quarters = [&[0], &[0x5050], &[0x8080], &[0xffff]];
/// Grey and alpha.
const GREY_SOFT: Quarters = [&[0, 255], &[80, 128], &[128, 0], &[255, 255]];
const GREY_SOFT_16: Quarters = [
    &[0, 0xffff],
    &[0x5050, 0x8080],
    &[0x8080, 0],
    &[0xffff, 0xffff],
];
/// A colour inside every gamut.
const ORANGE: Quarters = [&[200, 120, 80]; 4];
const ORANGE_16: Quarters = [&[200 * 257, 120 * 257, 80 * 257]; 4];
/// Half transparent, opaque, transparent, opaque.
const SOFT: Quarters = [
    &[255, 0, 0, 128],
    &[0, 255, 0, 255],
    &[0, 0, 255, 0],
    &[255, 255, 255, 255],
];
const SOFT_16: Quarters = [
    &[0xffff, 0, 0, 0x8080],
    &[0, 0xffff, 0, 0xffff],
    &[0, 0, 0xffff, 0],
    &[0xffff; 4],
];
/// Colours premultiplied with alpha.
const ASSOCIATED: Quarters = [
    &[128, 0, 0, 128],
    &[0, 255, 0, 255],
    &[0, 0, 0, 0],
    &[255, 255, 255, 255],
];
const INKS: Quarters = [
    &[255, 0, 0, 0],
    &[0, 255, 0, 0],
    &[0, 0, 255, 0],
    &[0, 0, 0, 255],
];

const EXCHANGED: &[u8] = generated!("exchanged.icc");
const DISPLAY_P3: &[u8] = generated!("p3.icc");
const GREY_PROFILE: &[u8] = generated!("grey-1.8.icc");
const CYAN_ONLY: &[u8] = generated!("cyan.icc");

/// The chromaticities of Display P3 in 1/100,000: white, red, green, blue.
const PRIMARIES_P3: [u32; 8] = [
    31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000,
];

/// A file and the colours of its quarters: top left, top right, bottom left, bottom right, or one
/// colour for all.
struct Row {
    file: String,
    bytes: Vec<u8>,
    colours: &'static str,
}

fn row(file: impl Into<String>, bytes: impl Into<Vec<u8>>, colours: &'static str) -> Row {
    Row {
        file: file.into(),
        bytes: bytes.into(),
        colours,
    }
}

/// A table of files.
macro_rules! rows {
    ($($file:literal => $bytes:expr, $colours:literal;)*) => {
        vec![$(row($file, $bytes, $colours)),*]
    };
}

fn of_png() -> Vec<Row> {
    use png::{COLOUR, COLOUR_ALPHA, GREY as IN_GREY, GREY_ALPHA, INDEXED};
    let palette = quarters::PALETTE.concat();
    let indexed = |depth| png(INDEXED, depth, INDICES).with(*b"PLTE", &palette);
    let numbers = |numbers: &[u32]| {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect::<Vec<_>>()
    };
    let mut rows = rows! {
        "PNG, grey, 1 bit" => png(IN_GREY, 1, BILEVEL).bytes(), "K W W K";
        "PNG, grey, 2 bits" => png(IN_GREY, 2, INDICES).bytes(), "K 555555 aaaaaa W";
        "PNG, grey, 4 bits" => png(IN_GREY, 4, GREY_4).bytes(), "K 555555 aaaaaa W";
        "PNG, grey, 8 bits" => png(IN_GREY, 8, GREY).bytes(), "K 505050 808080 W";
        "PNG, grey, 16 bits" => png(IN_GREY, 16, GREY_16).bytes(), "K 505050 808080 W";
        "PNG, grey and alpha, 8 bits" => png(GREY_ALPHA, 8, GREY_SOFT).bytes(), "K 50505080 - W";
        "PNG, grey and alpha, 16 bits" => png(GREY_ALPHA, 16, GREY_SOFT_16).bytes(), "K 50505080 - W";
        "PNG, grey, one level of which is clear" =>
            png(IN_GREY, 8, GREY).with(*b"tRNS", &[0, 80]).bytes(), "K - 808080 W";
        "PNG, grey, 1 bit, white is clear, with bits that do not count" =>
            png(IN_GREY, 1, BILEVEL).with(*b"tRNS", &[0, 0xff]).bytes(), "K - - K";
        "PNG, RGB, 8 bits" => png(COLOUR, 8, RGB).bytes(), "R G B W";
        "PNG, RGB, 16 bits" => png(COLOUR, 16, RGB_16).bytes(), "R G B W";
        "PNG, RGB, one colour of which is clear" =>
            png(COLOUR, 8, RGB).with(*b"tRNS", &[0, 0, 0, 255, 0, 0]).bytes(), "R - B W";
        "PNG, RGBA, 8 bits" => png(COLOUR_ALPHA, 8, SOFT).bytes(), "ff000080 G - W";
        "PNG, RGBA, 16 bits" => png(COLOUR_ALPHA, 16, SOFT_16).bytes(), "ff000080 G - W";
        "PNG, palette, 1 bit" => png(INDEXED, 1, BILEVEL).with(*b"PLTE", &palette[..6]).bytes(), "R G G R";
        "PNG, palette, 2 bits" => indexed(2).bytes(), "R G B W";
        "PNG, palette, 4 bits" => indexed(4).bytes(), "R G B W";
        "PNG, palette, 8 bits" => indexed(8).bytes(), "R G B W";
        "PNG, palette with alpha" => indexed(8).with(*b"tRNS", &[128, 255, 0]).bytes(), "ff000080 G - W";
        "PNG, RGB, interlaced" => png(COLOUR, 8, RGB).interlaced().bytes(), "R G B W";
        "PNG, palette, 2 bits, interlaced" =>
            png(INDEXED, 2, INDICES).with(*b"PLTE", &palette).interlaced().bytes(), "R G B W";
        "PNG, grey, 16 bits, interlaced" =>
            png(IN_GREY, 16, GREY_16).interlaced().bytes(), "K 505050 808080 W";
        "PNG, the first of two frames" =>
            png(COLOUR, 8, RGB).animated([&[255, 255, 255]; 4]).bytes(), "R G B W";
        "PNG, profile that exchanges red and green" =>
            png(COLOUR, 8, RGB).with_profile(EXCHANGED).bytes(), "G R B W";
        "PNG, palette, the same profile" => indexed(8).with_profile(EXCHANGED).bytes(), "G R B W";
        "PNG, RGBA, the same profile" =>
            png(COLOUR_ALPHA, 8, SOFT).with_profile(EXCHANGED).bytes(), "00ff0080 R - W";
        "PNG, profile of Display P3" =>
            png(COLOUR, 8, ORANGE).with_profile(DISPLAY_P3).bytes(), "d57346";
        "PNG, 16 bits, profile of Display P3" =>
            png(COLOUR, 16, ORANGE_16).with_profile(DISPLAY_P3).bytes(), "d57346";
        "PNG, grey, profile of gamma 1.8" =>
            png(IN_GREY, 8, GREY).with_profile(GREY_PROFILE).bytes(), "K 636363 929292 W";
        "PNG, grey, 16 bits, the same profile" =>
            png(IN_GREY, 16, GREY_16).with_profile(GREY_PROFILE).bytes(), "K 636363 929292 W";
        "PNG, grey, a profile for colours" =>
            png(IN_GREY, 8, GREY).with_profile(DISPLAY_P3).bytes(), "K 505050 808080 W";
        "PNG, grey, gAMA of linear light" =>
            png(IN_GREY, 8, GREY).with(*b"gAMA", &numbers(&[100_000])).bytes(), "K 989898 bcbcbc W";
        "PNG, gAMA and cHRM of Display P3" =>
            png(COLOUR, 8, ORANGE).with(*b"gAMA", &numbers(&[45_455])).with(*b"cHRM", &numbers(&PRIMARIES_P3)).bytes(), "d57346";
        "PNG, cICP of Display P3" =>
            png(COLOUR, 8, ORANGE).with(*b"cICP", &[12, 13, 0, 1]).bytes(), "d57346";
        "PNG, cICP of sRGB counts before a profile" =>
            png(COLOUR, 8, RGB).with(*b"cICP", &[1, 13, 0, 1]).with_profile(EXCHANGED).bytes(), "R G B W";
    };
    for (orientation, colours) in BY_ORIENTATION {
        let file = png(COLOUR, 8, RGB).with(*b"eXIf", &exif(orientation));
        rows.push(row(
            format!("PNG, orientation {orientation}"),
            file.bytes(),
            colours,
        ));
    }
    let file = png(COLOUR, 8, RGB).with(*b"eXIf", &prefixed(exif(6)));
    rows.push(row(
        "PNG, orientation 6 with JPEG's prefix",
        file.bytes(),
        "B R W G",
    ));
    rows
}

fn of_jpeg() -> Vec<Row> {
    let rgb = generated!("rgb-444.jpg");
    let mut rows = rows! {
        "JPEG, 4:4:4" => rgb, "R G B W";
        "JPEG, 4:2:2" => generated!("rgb-422.jpg"), "R G B W";
        "JPEG, 4:2:0" => generated!("rgb-420.jpg"), "R G B W";
        "JPEG, 4:4:4, progressive" => generated!("rgb-444-progressive.jpg"), "R G B W";
        "JPEG, 4:2:2, progressive" => generated!("rgb-422-progressive.jpg"), "R G B W";
        "JPEG, 4:2:0, progressive" => generated!("rgb-420-progressive.jpg"), "R G B W";
        "JPEG, restart markers" => generated!("rgb-restarts.jpg"), "R G B W";
        "JPEG, RGB without a transform" => generated!("rgb-untransformed.jpg"), "R G B W";
        "JPEG, grey" => generated!("grey.jpg"), "K 505050 808080 W";
        "JPEG, CMYK of Adobe" => generated!("cmyk.jpg"), "00ffff ff00ff ffff00 K";
        "JPEG, CMYK, profile of a printer that prints cyan only" => generated!("cmyk-icc.jpg"), "777777 W W W";
        "JPEG, profile that exchanges red and green" => jpeg_with_profile(rgb, EXCHANGED, 1), "G R B W";
        "JPEG, the same profile in three segments" => jpeg_with_profile(rgb, EXCHANGED, 3), "G R B W";
        "JPEG, grey, profile of gamma 1.8" =>
            jpeg_with_profile(generated!("grey.jpg"), GREY_PROFILE, 1), "K 636363 929292 W";
        "JPEG, grey, a profile for colours" =>
            jpeg_with_profile(generated!("grey.jpg"), EXCHANGED, 1), "K 505050 808080 W";
        "JPEG, a profile for inks" => jpeg_with_profile(rgb, CYAN_ONLY, 1), "R G B W";
        "JPEG, EXIF that is damaged" => jpeg(rgb, 1, b"Exif\0\0MM\0\x2a\xff\xff\xff\xff"), "R G B W";
        "JPEG, XMP behind which EXIF follows" =>
            jpeg(&jpeg(rgb, 1, &prefixed(exif(3))), 1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), "W B G R";
        "JPEG, bytes after its end" => [rgb, b"and more"].concat(), "R G B W";
    };
    for (orientation, colours) in BY_ORIENTATION {
        for (kind, file) in [
            ("", rgb),
            (", progressive", generated!("rgb-420-progressive.jpg")),
        ] {
            let file = jpeg(file, 1, &prefixed(exif(orientation)));
            rows.push(row(
                format!("JPEG{kind}, orientation {orientation}"),
                file,
                colours,
            ));
        }
    }
    rows
}

fn of_gif() -> Vec<Row> {
    let gif = Gif::default;
    rows! {
        "GIF" => gif().bytes(), "R G B W";
        "GIF, interlaced" => Gif { is_interlaced: true, ..gif() }.bytes(), "R G B W";
        "GIF, one entry of which is clear" => Gif { clear: Some(1), ..gif() }.bytes(), "R - B W";
        "GIF, the first of two frames" => Gif { is_animated: true, ..gif() }.bytes(), "R G B W";
        "GIF, a frame that covers the right half" => Gif { is_half: true, ..gif() }.bytes(), "- G - W";
    }
}

fn of_webp() -> Vec<Row> {
    let lossless = encoded_webp(&RGB, false);
    let mut rows = rows! {
        "WebP, lossless" => lossless.clone(), "R G B W";
        "WebP, lossless, with alpha" => encoded_webp(&SOFT, true), "ff000080 G - W";
        "WebP, lossy" => generated!("lossy.webp"), "R G B W";
        "WebP, lossy, with alpha" => generated!("lossy-alpha.webp"), "ff000080 G - W";
        "WebP, the first of two frames" => generated!("animated.webp"), "R G B W";
        "WebP, profile that exchanges red and green" => webp_with_profile(&lossless, EXCHANGED), "G R B W";
        "WebP, lossy, the same profile" => webp_with_profile(generated!("lossy.webp"), EXCHANGED), "G R B W";
    };
    for (orientation, colours) in BY_ORIENTATION {
        for (kind, exif) in [
            ("", exif(orientation)),
            (" with JPEG's prefix", prefixed(exif(orientation))),
        ] {
            let file = webp_with_exif(&lossless, &exif);
            rows.push(row(
                format!("WebP, orientation {orientation}{kind}"),
                file,
                colours,
            ));
        }
    }
    rows
}

fn of_bmp() -> Vec<Row> {
    rows! {
        "BMP, 1 bit" => bmp::indexed(1), "R G G R";
        "BMP, 4 bits" => bmp::indexed(4), "R G B W";
        "BMP, 8 bits" => bmp::indexed(8), "R G B W";
        "BMP, 4 bits, runs" => bmp::run_length(4), "R G B W";
        "BMP, 8 bits, runs" => bmp::run_length(8), "R G B W";
        "BMP, 16 bits, five for each colour" => bmp::sixteen(None), "R G B W";
        "BMP, 16 bits, six for green" => bmp::sixteen(Some([0xf800, 0x07e0, 0x001f])), "R G B W";
        "BMP, 16 bits, four for each colour" => bmp::sixteen(Some([0x0f00, 0x00f0, 0x000f])), "R G B W";
        "BMP, 24 bits" => bmp::twenty_four(), "R G B W";
        "BMP, 24 bits, the highest row first" => bmp::top_down(), "R G B W";
        "BMP, 32 bits" => bmp::thirty_two(), "R G B W";
        "BMP, 32 bits, with alpha" => bmp::with_alpha(), "ff000080 G 0000ff80 W";
        "BMP of OS/2" => bmp::os2(), "R G B W";
    }
}

fn of_tiff() -> Vec<Row> {
    use tiff::{BLACK_IS_ZERO, COLOUR, INDEXED, INKS as IN_INKS, WHITE_IS_ZERO};
    let rgb = || tiff(COLOUR, 8, RGB);
    let mut rows = rows! {
        "TIFF, black is zero, 1 bit" => tiff(BLACK_IS_ZERO, 1, BILEVEL).bytes(), "K W W K";
        "TIFF, white is zero, 1 bit" => tiff(WHITE_IS_ZERO, 1, BILEVEL).bytes(), "W K K W";
        "TIFF, grey, 2 bits" => tiff(BLACK_IS_ZERO, 2, INDICES).bytes(), "K 555555 aaaaaa W";
        "TIFF, grey, 4 bits" => tiff(BLACK_IS_ZERO, 4, GREY_4).bytes(), "K 555555 aaaaaa W";
        "TIFF, grey, 8 bits" => tiff(BLACK_IS_ZERO, 8, GREY).bytes(), "K 505050 808080 W";
        "TIFF, white is zero, 8 bits" => tiff(WHITE_IS_ZERO, 8, GREY).bytes(), "W afafaf 7f7f7f K";
        "TIFF, grey, 16 bits" => tiff(BLACK_IS_ZERO, 16, GREY_16).bytes(), "K 505050 808080 W";
        "TIFF, RGB, 8 bits" => rgb().bytes(), "R G B W";
        "TIFF, RGB, 16 bits" => tiff(COLOUR, 16, RGB_16).bytes(), "R G B W";
        "TIFF, palette, 2 bits" => tiff(INDEXED, 2, INDICES).bytes(), "R G B W";
        "TIFF, palette, 4 bits" => tiff(INDEXED, 4, INDICES).bytes(), "R G B W";
        "TIFF, palette, 8 bits" => tiff(INDEXED, 8, INDICES).bytes(), "R G B W";
        "TIFF, CMYK" => tiff(IN_INKS, 8, INKS).bytes(), "00ffff ff00ff ffff00 K";
        "TIFF, CMYK, profile of a printer that prints cyan only" =>
            tiff(IN_INKS, 8, INKS).with_profile(CYAN_ONLY).bytes(), "777777 W W W";
        "TIFF, a sample that means nothing" => tiff(COLOUR, 8, SOFT).with_extra(0).bytes(), "R G B W";
        "TIFF, the same, predicted" => tiff(COLOUR, 8, SOFT).with_extra(0).predicted().bytes(), "R G B W";
        "TIFF, alpha" => tiff(COLOUR, 8, SOFT).with_extra(2).bytes(), "ff000080 G - W";
        "TIFF, alpha, 16 bits" => tiff(COLOUR, 16, SOFT_16).with_extra(2).bytes(), "ff000080 G - W";
        "TIFF, associated alpha" => tiff(COLOUR, 8, ASSOCIATED).with_extra(1).bytes(), "ff000080 G - W";
        "TIFF, predicted" => rgb().predicted().bytes(), "R G B W";
        "TIFF, predicted, 16 bits" => tiff(COLOUR, 16, RGB_16).predicted().bytes(), "R G B W";
        "TIFF, a plane for each colour" => rgb().planar().bytes(), "R G B W";
        "TIFF, a plane for each colour, 16 bits" => tiff(COLOUR, 16, RGB_16).planar().bytes(), "R G B W";
        "TIFF, tiles" => rgb().tiled().bytes(), "R G B W";
        "TIFF, tiles, compressed" => rgb().tiled().deflated().bytes(), "R G B W";
        "TIFF, tiles of planes" => rgb().planar().tiled().bytes(), "R G B W";
        "TIFF, bits in reverse, 1 bit" => tiff(BLACK_IS_ZERO, 1, BILEVEL).reversed().bytes(), "K W W K";
        "TIFF, bits in reverse, 8 bits" => rgb().reversed().bytes(), "R G B W";
        "TIFF, bits in reverse, 16 bits" =>
            tiff(BLACK_IS_ZERO, 16, GREY_16).reversed().bytes(), "K 505050 808080 W";
        "TIFF, profile that exchanges red and green" => rgb().with_profile(EXCHANGED).bytes(), "G R B W";
        "TIFF, 16 bits, profile of Display P3" =>
            tiff(COLOUR, 16, ORANGE_16).with_profile(DISPLAY_P3).bytes(), "d57346";
        "TIFF, grey, profile of gamma 1.8" =>
            tiff(BLACK_IS_ZERO, 8, GREY).with_profile(GREY_PROFILE).bytes(), "K 636363 929292 W";
        "TIFF, CCITT Group 4" => generated!("g4.tif"), "K W W K";
        "TIFF, LZW" => generated!("lzw.tif"), "R G B W";
        "TIFF, PackBits" => generated!("packbits.tif"), "R G B W";
        "TIFF, Deflate" => generated!("deflate.tif"), "R G B W";
        "TIFF, JPEG" => generated!("jpeg.tif"), "R G B W";
    };
    for (orientation, colours) in BY_ORIENTATION {
        let file = rgb().turned(orientation.into()).bytes();
        rows.push(row(
            format!("TIFF, orientation {orientation}"),
            file,
            colours,
        ));
    }
    rows
}

fn of_avif() -> Vec<Row> {
    rows! {
        "AVIF, 8 bits, 4:2:0" => avif!("eight-420"), "R G B W";
        "AVIF, 10 bits, 4:2:2" => avif!("ten-422"), "R G B W";
        "AVIF, 12 bits, 4:4:4" => avif!("twelve-444"), "R G B W";
        "AVIF, 12 bits, 4:2:0" => avif!("twelve-420"), "R G B W";
        "AVIF, grey, 10 bits" => avif!("grey"), "4c4c4c 969696 1d1d1d W";
        "AVIF, RGB without a transform" => avif!("identity"), "R G B W";
        "AVIF, YCgCo" => avif!("ycgco"), "R G B W";
        "AVIF, alpha" => avif!("alpha"), "- 00ff0080 B W";
        "AVIF, associated alpha" => avif!("premultiplied"), "- 00ff0080 B W";
        "AVIF, turned by its container" => avif!("camera"), "R G B W";
        "AVIF, code points of Display P3" => avif!("wide"), "d57346";
        "AVIF, profile of Display P3" => avif!("icc"), "d57346";
        "AVIF, the primary image of a sequence" => avif!("moving"), "R";
    }
}

fn encoded_webp(quarters: &Quarters, has_alpha: bool) -> Vec<u8> {
    let samples = (0..HEIGHT).flat_map(|y| quarters::row(quarters, y));
    let bytes = samples
        .map(|sample| u8::try_from(sample).expect("a byte"))
        .collect();
    let (width, height) = (
        u32::try_from(WIDTH).expect("short"),
        u32::try_from(HEIGHT).expect("short"),
    );
    let mut file = Cursor::new(Vec::new());
    if has_alpha {
        let picture = RgbaImage::from_raw(width, height, bytes).expect("no pixel is missing");
        picture
            .write_to(&mut file, ImageFormat::WebP)
            .expect("encodes");
    } else {
        let picture = RgbImage::from_raw(width, height, bytes).expect("no pixel is missing");
        picture
            .write_to(&mut file, ImageFormat::WebP)
            .expect("encodes");
    }
    file.into_inner()
}

/// Parses a colour: a name, `rrggbb` or `rrggbbaa`.
fn colour(name: &str) -> [u8; 4] {
    match name {
        "R" => [255, 0, 0, 255],
        "G" => [0, 255, 0, 255],
        "B" => [0, 0, 255, 255],
        "W" => [255; 4],
        "K" => [0, 0, 0, 255],
        "-" => [0; 4],
        digits => {
            let number = u32::from_str_radix(digits, 16).expect("a name or digits");
            (if digits.len() == 6 {
                number << 8 | 255
            } else {
                number
            })
            .to_be_bytes()
        }
    }
}

/// Returns the pixels in the middle of the quarters. A transparent pixel has no colour.
fn middles(image: &[u8]) -> [[u8; 4]; 4] {
    let picture = image::load_from_memory(image)
        .expect("an image")
        .into_rgba8();
    let (width, height) = picture.dimensions();
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| {
        let pixel = picture.get_pixel(width * x / 4, height * y / 4).0;
        if pixel[3] == 0 { [0; 4] } else { pixel }
    })
}

fn is_close(seen: [[u8; 4]; 4], expected: &[[u8; 4]]) -> bool {
    seen.as_flattened()
        .iter()
        .zip(expected.as_flattened())
        .all(|(one, other)| one.abs_diff(*other) < 6)
}

#[tokio::test]
async fn every_kind_of_file_keeps_its_colours() {
    let rows = [
        of_png(),
        of_jpeg(),
        of_gif(),
        of_webp(),
        of_bmp(),
        of_tiff(),
        of_avif(),
    ];
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    let names: HashSet<_> = rows.iter().map(|row| &row.file).collect();
    assert_eq!(names.len(), rows.len(), "two files have one name");
    let recipes: [Recipe; 2] = ["64x64 contain png", "256x256 contain webp q75"]
        .map(|text| text.parse().expect("a recipe"));
    let sandbox = ImageSandbox::new(program());
    let mut wrong = Vec::new();
    for Row {
        file,
        bytes,
        colours,
    } in rows
    {
        let expected: Vec<_> = colours.split(' ').map(colour).cycle().take(4).collect();
        match sandbox.render(&bytes, &recipes).await {
            Ok(Ok(developed)) => {
                let seen = middles(&developed.images[0].bytes);
                if !is_close(seen, &expected) {
                    wrong.push(format!("{file}: {seen:?} and not {colours}"));
                }
            }
            otherwise => wrong.push(format!("{file}: {otherwise:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
