//! Renders a file's derived images: decodes under limits, scales, rotates upright, encodes.

use std::rc::Rc;

use image::DynamicImage;
use image::metadata::Orientation;
use plinth_domain::picture::Picture;
use plinth_domain::preset::Recipe;

use crate::Unreadable;
use crate::derive::{plan, required_size, scale, swaps_dimensions};
use crate::encode::encode;
use crate::metadata::taken_at;
use crate::placeholder::blurhash;
use crate::source::Source;

/// Memory of a process before it has read anything, in bytes.
pub(crate) const PROCESS_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes per pixel of a derived image while it is rotated, converted and encoded.
const WORKING_BYTES_PER_PIXEL: u64 = 40;

/// Bytes per pixel of a derived image until all images are done.
const KEPT_BYTES_PER_PIXEL: u64 = 8;

/// A picture with its derived images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedPicture {
    pub picture: Picture,
    /// In the order of the recipes.
    pub images: Vec<RenderedImage>,
}

/// A derived image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedImage {
    /// Width and height in pixels.
    pub width: u32,
    pub height: u32,
    pub bytes: Vec<u8>,
}

/// Returns the memory in bytes that a process needs to render the file. Reads only the header.
///
/// # Errors
/// Fails if the file is not a picture or exceeds a limit.
pub fn required_memory(
    file: &[u8],
    recipes: &[Recipe],
    max_pixels: u64,
) -> Result<u64, Unreadable> {
    let source = Source::open(file, max_pixels)?;
    let steps = plan(source.size(), source.orientation, recipes);
    let pixels = steps.iter().map(|step| step.target.pixels());
    let largest = pixels
        .clone()
        .max()
        .unwrap_or(0)
        .saturating_mul(WORKING_BYTES_PER_PIXEL);
    let all = pixels
        .fold(0, u64::saturating_add)
        .saturating_mul(KEPT_BYTES_PER_PIXEL);
    // Decoders may hold the file twice.
    let file = u64::try_from(file.len())
        .unwrap_or(u64::MAX)
        .saturating_mul(2);
    let from_file = steps
        .iter()
        .map(|step| u64::from(step.copied_from.is_none()))
        .sum();
    let decoding = source.memory(
        required_size(source.size(), source.orientation, recipes),
        from_file,
    );
    Ok([file, decoding, largest, all]
        .into_iter()
        .fold(PROCESS_BYTES, u64::saturating_add))
}

/// Renders the derived images, and returns them with the picture's metadata.
///
/// # Errors
/// Fails if the file is not a picture, is damaged or exceeds a limit.
pub fn render(
    file: &[u8],
    recipes: &[Recipe],
    max_pixels: u64,
) -> Result<RenderedPicture, Unreadable> {
    let mut source = Source::open(file, max_pixels)?;
    let (orientation, profile) = (source.orientation, source.profile.take());
    let size = source.size();
    let taken_at = source.exif.take().and_then(taken_at);
    let steps = plan(size, orientation, recipes);
    let from_file: Vec<_> = steps
        .iter()
        .filter(|step| step.copied_from.is_none())
        .map(|step| step.target)
        .collect();
    let mut from_file = source
        .images(&from_file, required_size(size, orientation, recipes))?
        .into_iter();
    let mut scaled: Vec<Rc<DynamicImage>> = Vec::with_capacity(steps.len());
    let mut smallest: Option<Rc<DynamicImage>> = None;
    let mut images = Vec::with_capacity(steps.len());
    for step in &steps {
        let image = match step.copied_from {
            Some(earlier) => scale(&scaled[earlier], step.target)?,
            None => from_file
                .next()
                .expect("one image for each step that uses the file"),
        };
        let mut image = Rc::new(image);
        scaled.push(Rc::clone(&image));
        if orientation != Orientation::NoTransforms {
            Rc::make_mut(&mut image).apply_orientation(orientation);
        }
        if let Some(converted) = profile.as_ref().and_then(|profile| profile.to_srgb(&image)) {
            image = Rc::new(converted);
        }
        let image = to_eight_bits(image);
        let (width, height) = (image.width(), image.height());
        let bytes = encode(&image, recipes[step.recipe].format)?;
        images.push((
            step.recipe,
            RenderedImage {
                width,
                height,
                bytes,
            },
        ));
        smallest = Some(image);
    }
    images.sort_by_key(|(recipe, _)| *recipe);
    let images = images.into_iter().map(|(_, image)| image).collect();
    let (width, height) = if swaps_dimensions(orientation) {
        (size.1, size.0)
    } else {
        size
    };
    let picture = Picture {
        width,
        height,
        taken_at,
        blurhash: smallest.as_deref().and_then(blurhash),
    };
    Ok(RenderedPicture { picture, images })
}

/// Converts a picture to RGB, or RGBA if it has transparency, with eight bits per channel.
fn to_eight_bits(picture: Rc<DynamicImage>) -> Rc<DynamicImage> {
    match &*picture {
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => picture,
        other if other.color().has_alpha() => Rc::new(other.to_rgba8().into()),
        other => Rc::new(other.to_rgb8().into()),
    }
}
