//! The photograph of the smoke run, and the check that its derived images are upright. photo.md
//! names its source.

use anyhow::{Context as _, Result, ensure};
use image::{GenericImageView as _, RgbImage};

use crate::door::Variant;

/// A photograph that its EXIF orientation (6) turns upright.
pub const BYTES: &[u8] = include_bytes!("photo.jpg");

/// The longest edge of each preset.
const EDGES: [(&str, u32); 2] = [("small", 256), ("large", 1024)];

/// Decodes a derived image and compares it with its description.
pub(super) fn inspect(bytes: &[u8], variant: &Variant) -> Result<()> {
    let image = image::load_from_memory(bytes).context("decoding it")?;
    let (width, height) = image.dimensions();
    ensure!(
        (Some(width), Some(height)) == (variant.width, variant.height),
        "it is {width} x {height}, described as {:?} x {:?}",
        variant.width,
        variant.height
    );
    let edge = EDGES
        .iter()
        .find(|(preset, _)| *preset == variant.preset)
        .map(|(_, edge)| *edge);
    ensure!(
        edge == Some(height),
        "its longest edge is {height} instead of {edge:?}"
    );
    ensure!(width < height, "it lies on its side: {width} x {height}");
    ensure!(is_upright(&image.to_rgb8()), "it is upside down");
    Ok(())
}

/// The lower half is a suit in bright orange, the upper half is not.
fn is_upright(image: &RgbImage) -> bool {
    let half = image.height() / 2;
    let mut warmth = [0_i64; 2];
    for (_, y, pixel) in image.enumerate_pixels() {
        let [red, _, blue] = pixel.0;
        warmth[usize::from(y >= half)] += i64::from(red) - i64::from(blue);
    }
    warmth[1] > warmth[0]
}

#[cfg(test)]
mod tests {
    use image::imageops::{rotate90, rotate180};

    use super::*;

    #[test]
    fn the_photograph_must_be_turned_to_stand_upright() {
        let raw = image::load_from_memory(BYTES).unwrap().to_rgb8();
        assert!(raw.width() > raw.height());
        let turned = rotate90(&raw);
        assert!(is_upright(&turned));
        assert!(!is_upright(&rotate180(&turned)));
    }
}
