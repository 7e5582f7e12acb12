//! From a file to its derived images: decode under limits, scale, turn upright, write.

use std::rc::Rc;

use image::DynamicImage;
use image::metadata::Orientation;
use plinth_domain::picture::Picture;
use plinth_domain::preset::Recipe;

use crate::Unreadable;
use crate::derive::{lies_on_its_side, plan, scale, wanted};
use crate::encode::encode;
use crate::metadata::taken_at;
use crate::placeholder::blurhash;
use crate::source::Source;

/// What a process has before it has read anything, in bytes.
pub(crate) const OWN: u64 = 16 * 1024 * 1024;

/// Bytes that a pixel of a derived image takes while it is turned, converted and written.
const PER_PIXEL_IN_WORK: u64 = 40;

/// Bytes that it takes as long as any image is made.
const PER_PIXEL: u64 = 8;

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
    let steps = plan(source.size(), source.orientation, recipes);
    let pixels = steps.iter().map(|step| step.target.pixels());
    let largest = pixels
        .clone()
        .max()
        .unwrap_or(0)
        .saturating_mul(PER_PIXEL_IN_WORK);
    let all = pixels
        .fold(0, u64::saturating_add)
        .saturating_mul(PER_PIXEL);
    // Decoders may take the file twice.
    let file = u64::try_from(file.len())
        .unwrap_or(u64::MAX)
        .saturating_mul(2);
    let of_the_file = steps.iter().map(|step| u64::from(step.of.is_none())).sum();
    let decoding = source.memory(
        wanted(source.size(), source.orientation, recipes),
        of_the_file,
    );
    Ok([file, decoding, largest, all]
        .into_iter()
        .fold(OWN, u64::saturating_add))
}

/// The derived images, and what is known of the picture.
///
/// # Errors
/// The picture is over a limit, damaged or not one.
pub fn render(file: &[u8], recipes: &[Recipe], max_pixels: u64) -> Result<Developed, Unreadable> {
    let mut source = Source::open(file, max_pixels)?;
    let (orientation, profile) = (source.orientation, source.profile.take());
    let size = source.size();
    let taken_at = source.exif.take().and_then(taken_at);
    let steps = plan(size, orientation, recipes);
    let of_the_file: Vec<_> = steps
        .iter()
        .filter(|step| step.of.is_none())
        .map(|step| step.target)
        .collect();
    let mut of_the_file = source
        .images(&of_the_file, wanted(size, orientation, recipes))?
        .into_iter();
    let mut scaled: Vec<Rc<DynamicImage>> = Vec::with_capacity(steps.len());
    let mut smallest: Option<Rc<DynamicImage>> = None;
    let mut images = Vec::with_capacity(steps.len());
    for step in &steps {
        let image = match step.of {
            Some(earlier) => scale(&scaled[earlier], step.target)?,
            None => of_the_file
                .next()
                .expect("there is one for each step that is of the file"),
        };
        let mut image = Rc::new(image);
        scaled.push(Rc::clone(&image));
        if orientation != Orientation::NoTransforms {
            Rc::make_mut(&mut image).apply_orientation(orientation);
        }
        if let Some(converted) = profile.as_ref().and_then(|profile| profile.to_srgb(&image)) {
            image = Rc::new(converted);
        }
        let image = eight_bits(image);
        let (width, height) = (image.width(), image.height());
        let bytes = encode(&image, recipes[step.recipe].format)?;
        images.push((
            step.recipe,
            Rendered {
                width,
                height,
                bytes,
            },
        ));
        smallest = Some(image);
    }
    images.sort_by_key(|(recipe, _)| *recipe);
    let images = images.into_iter().map(|(_, image)| image).collect();
    let (width, height) = if lies_on_its_side(orientation) {
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
