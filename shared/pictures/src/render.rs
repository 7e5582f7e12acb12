//! From a file to its derived images: decode under limits, scale, turn upright, write.

use image::DynamicImage;
use plinth_domain::picture::Picture;
use plinth_domain::preset::Recipe;

use crate::Unreadable;
use crate::colour::to_srgb;
use crate::derive::{derive, lies_on_its_side, scalable, target, wanted};
use crate::encode::encode;
use crate::metadata::taken_at;
use crate::placeholder::blurhash;
use crate::source::Source;

/// What a process has before it has read anything, in bytes.
pub(crate) const OWN: u64 = 32 * 1024 * 1024;

/// Bytes that a pixel of a derived image takes while it is scaled, converted and written.
const PER_DERIVED_PIXEL: u64 = 32;

/// What came of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Developed {
    pub picture: Picture,
    /// In the order of the recipes.
    pub images: Vec<Rendered>,
}

/// A derived image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub bytes: Vec<u8>,
}

/// Reads the header only: all the memory, in bytes, that a process needs to render the file.
///
/// # Errors
/// The picture is over a limit or not one.
pub fn weigh(file: &[u8], recipes: &[Recipe], max_pixels: u64) -> Result<u64, Unreadable> {
    let source = Source::open(file, max_pixels)?;
    let largest = recipes.iter().map(|recipe| {
        let (width, height) = target(source.size(), source.orientation, recipe);
        u64::from(width) * u64::from(height) * PER_DERIVED_PIXEL
    });
    // Decoders may take the file twice.
    let file = u64::try_from(file.len()).unwrap_or(u64::MAX).saturating_mul(2);
    let decoding = source.memory(wanted(source.size(), source.orientation, recipes));
    Ok(OWN.saturating_add(file).saturating_add(decoding).saturating_add(largest.max().unwrap_or(0)))
}

/// The derived images, and what is known of the picture.
///
/// # Errors
/// The picture is over a limit, damaged or not one.
pub fn render(file: &[u8], recipes: &[Recipe], max_pixels: u64) -> Result<Developed, Unreadable> {
    let mut source = Source::open(file, max_pixels)?;
    let (orientation, profile) = (source.orientation, source.profile.take());
    let size = source.size();
    let wanted = wanted(size, orientation, recipes);
    let taken_at = source.exif.take().and_then(taken_at);
    let picture = scalable(source.decode(wanted)?);
    let mut smallest: Option<DynamicImage> = None;
    let mut images = Vec::with_capacity(recipes.len());
    for recipe in recipes {
        let mut image = eight_bits(derive(&picture, size, orientation, recipe)?);
        if let Some(profile) = &profile {
            to_srgb(&mut image, profile);
        }
        let (width, height) = (image.width(), image.height());
        let bytes = encode(&image, recipe.format)?;
        images.push(Rendered { width, height, bytes });
        if smallest.as_ref().is_none_or(|other| image.as_bytes().len() < other.as_bytes().len()) {
            smallest = Some(image);
        }
    }
    let (width, height) = if lies_on_its_side(orientation) { (size.1, size.0) } else { size };
    let picture = Picture { width, height, taken_at, blurhash: smallest.as_ref().and_then(blurhash) };
    Ok(Developed { picture, images })
}

/// Red, green and blue, and transparency where there is some.
fn eight_bits(picture: DynamicImage) -> DynamicImage {
    if picture.color().has_alpha() { picture.into_rgba8().into() } else { picture.into_rgb8().into() }
}
