//! From a file to its derived images: decode under limits, scale, turn upright, write.

use image::DynamicImage;
use plinth_domain::preset::Recipe;

use crate::Unreadable;
use crate::colour::to_srgb;
use crate::derive::{derive, scalable, target};
use crate::encode::encode;
use crate::source::Source;

/// What a process has before it has read anything, in bytes.
const OWN: u64 = 32 * 1024 * 1024;

/// Bytes that a pixel of a derived image takes while it is scaled, converted and written.
const PER_DERIVED_PIXEL: u64 = 32;

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
    Ok(OWN.saturating_add(file).saturating_add(source.memory()).saturating_add(largest.max().unwrap_or(0)))
}

/// The derived images, in the order of the recipes.
///
/// # Errors
/// The picture is over a limit, damaged or not one.
pub fn render(file: &[u8], recipes: &[Recipe], max_pixels: u64) -> Result<Vec<Rendered>, Unreadable> {
    let mut source = Source::open(file, max_pixels)?;
    let (orientation, profile) = (source.orientation, source.profile.take());
    let picture = scalable(source.decode()?);
    let make = |recipe: &Recipe| {
        let mut small = eight_bits(derive(&picture, orientation, recipe)?);
        if let Some(profile) = &profile {
            to_srgb(&mut small, profile);
        }
        let (width, height) = (small.width(), small.height());
        Ok(Rendered { width, height, bytes: encode(small, recipe.format)? })
    };
    recipes.iter().map(make).collect()
}

/// Red, green and blue, and transparency where there is some.
fn eight_bits(picture: DynamicImage) -> DynamicImage {
    if picture.color().has_alpha() { picture.into_rgba8().into() } else { picture.into_rgb8().into() }
}
