//! Kinds of JPEG and TIFF that no encoder here writes; fixtures/README.md describes the files.

use plinth_domain::preset::Recipe;
use plinth_pictures::{Feature, Unreadable, render, required_memory};

const MAX_PIXELS: u64 = 1_000_000;

macro_rules! fixture {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("fixtures/", $name)).as_slice(),
        )
    };
}

/// Renders a file in full size.
fn rendered_picture(name: &str, file: &[u8]) -> image::RgbImage {
    let recipes: Vec<Recipe> = vec!["256x256 contain png".parse().expect("a recipe")];
    required_memory(file, &recipes, MAX_PIXELS).expect(name);
    let rendered = render(file, &recipes, MAX_PIXELS).expect(name);
    image::load_from_memory(&rendered.images[0].bytes)
        .expect(name)
        .into_rgb8()
}

/// Asserts that the picture is red and green above blue and white.
#[track_caller]
fn assert_quarters(name: &str, file: &[u8]) {
    let picture = rendered_picture(name, file);
    assert_eq!(picture.dimensions(), (64, 32), "{name}");
    for (x, y, colour) in [
        (16, 8, [255, 0, 0]),
        (48, 8, [0, 255, 0]),
        (16, 24, [0, 0, 255]),
        (48, 24, [255, 255, 255]),
    ] {
        let actual = picture.get_pixel(x, y).0;
        assert!(
            actual
                .iter()
                .zip(colour)
                .all(|(one, other)| one.abs_diff(other) < 6),
            "{name}: {actual:?}"
        );
    }
}

#[test]
fn arithmetic_coded_jpeg_is_rendered() {
    for (name, file) in [
        fixture!("arithmetic.jpg"),
        fixture!("arithmetic-progressive.jpg"),
    ] {
        assert_quarters(name, file);
    }
}

#[test]
fn big_tiff_is_rendered_in_both_byte_orders() {
    for (name, file) in [fixture!("big.tif"), fixture!("big-be.tif")] {
        assert_quarters(name, file);
    }
}

#[test]
fn every_compression_of_fax_is_rendered_pixel_by_pixel() {
    for (name, file) in [
        fixture!("huffman.tif"),
        fixture!("g3.tif"),
        fixture!("g3-2d.tif"),
        fixture!("g3-fill.tif"),
        fixture!("g3-2d-fill.tif"),
        fixture!("g3-lsb.tif"),
        fixture!("g4.tif"),
        fixture!("g4-lsb.tif"),
        fixture!("g4-tiled.tif"),
        fixture!("big-g4.tif"),
    ] {
        let picture = rendered_picture(name, file);
        assert_eq!(picture.dimensions(), (203, 64), "{name}");
        for (x, y, pixel) in picture.enumerate_pixels() {
            let from_middle = x.abs_diff(150).pow(2) + y.abs_diff(48).pow(2);
            let is_black = (x >= 100) == (y < 32) || from_middle < 100;
            assert_eq!(
                pixel.0,
                [if is_black { 0 } else { 255 }; 3],
                "{name}: {x} {y}"
            );
        }
    }
}

#[test]
fn a_bmp_of_os2_2_is_named_in_the_reason() {
    for length in [16, 64] {
        let mut file = vec![0; 256];
        file[..2].copy_from_slice(b"BM");
        file[14] = length;
        let reason = required_memory(
            &file,
            &["256x256 contain png".parse().expect("a recipe")],
            MAX_PIXELS,
        )
        .err();
        assert_eq!(
            reason,
            Some(Unreadable::Unsupported(Feature::Os2Bmp)),
            "{length}"
        );
    }
}
