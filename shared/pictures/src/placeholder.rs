//! A few letters that stand for a picture until it is there.

use image::DynamicImage;
use image::imageops::thumbnail;
use plinth_domain::picture::Blurhash;

use crate::encode::flatten;

/// More pixels than that show no difference.
const EDGE: u32 = 32;

/// The blurhash of a derived image, the smallest for choice.
pub(crate) fn blurhash(picture: &DynamicImage) -> Option<Blurhash> {
    let (width, height) = (picture.width().min(EDGE), picture.height().min(EDGE));
    let components = if picture.width() >= picture.height() {
        (4, 3)
    } else {
        (3, 4)
    };
    let small = DynamicImage::from(thumbnail(&*flatten(picture), width, height)).into_rgba8();
    blurhash::encode(components.0, components.1, width, height, &small)
        .ok()?
        .parse()
        .ok()
}
