//! From a file to its derived images: decode under limits, scale, turn upright, write.

use std::cmp::Reverse;
use std::rc::Rc;

use image::DynamicImage;
use plinth_domain::picture::Picture;
use plinth_domain::preset::Recipe;

use crate::Unreadable;
use crate::colour::to_srgb;
use crate::derive::{Negative, lies_on_its_side, scalable, target, wanted};
use crate::encode::encode;
use crate::metadata::taken_at;
use crate::placeholder::blurhash;
use crate::source::Source;

/// What a process has before it has read anything, in bytes.
pub(crate) const OWN: u64 = 32 * 1024 * 1024;

/// Bytes that a pixel of a derived image takes while it is scaled, kept for smaller ones, converted and written.
const PER_DERIVED_PIXEL: u64 = 40;

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
    let mut negative = Negative::new(scalable(source.decode(wanted)?), size, orientation);
    let mut order: Vec<usize> = (0..recipes.len()).collect();
    order.sort_by_key(|place| {
        let (width, height) = target(size, orientation, &recipes[*place]);
        Reverse(u64::from(width) * u64::from(height))
    });
    let mut smallest: Option<Rc<DynamicImage>> = None;
    let mut images = Vec::with_capacity(recipes.len());
    for place in order {
        let recipe = &recipes[place];
        let mut image = eight_bits(negative.derive(recipe)?);
        if let Some(profile) = &profile {
            to_srgb(Rc::make_mut(&mut image), profile);
        }
        let (width, height) = (image.width(), image.height());
        let bytes = encode(&image, recipe.format)?;
        images.push((place, Rendered { width, height, bytes }));
        smallest = Some(image);
    }
    images.sort_by_key(|(place, _)| *place);
    let images = images.into_iter().map(|(_, image)| image).collect();
    let (width, height) = if lies_on_its_side(orientation) { (size.1, size.0) } else { size };
    let picture = Picture { width, height, taken_at, blurhash: smallest.as_deref().and_then(blurhash) };
    Ok(Developed { picture, images })
}

/// Red, green and blue, and transparency where there is some.
fn eight_bits(picture: Rc<DynamicImage>) -> Rc<DynamicImage> {
    match &*picture {
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => picture,
        other if other.color().has_alpha() => Rc::new(other.to_rgba8().into()),
        other => Rc::new(other.to_rgb8().into()),
    }
}
