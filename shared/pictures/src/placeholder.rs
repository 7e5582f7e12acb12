//! The placeholder that clients show while a picture loads.

use image::DynamicImage;
use image::imageops::thumbnail;
use plinth_domain::picture::Blurhash;

use crate::encode::flatten;

/// Maximum width and height of the image that is hashed. More pixels make no visible difference.
const MAX_EDGE: u32 = 32;

/// Returns the blurhash of a derived image. The smallest one is the cheapest.
pub(crate) fn blurhash(picture: &DynamicImage) -> Option<Blurhash> {
    let (width, height) = (
        picture.width().min(MAX_EDGE),
        picture.height().min(MAX_EDGE),
    );
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
