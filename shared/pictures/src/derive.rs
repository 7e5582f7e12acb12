//! The plan by which images are derived from a picture, and the scaling of pixels.

use std::cmp::Reverse;
use std::f64::consts::PI;

use fast_image_resize::{
    CropBox, Filter, FilterType, IntoImageView as _, ResizeAlg, ResizeOptions, Resizer,
};
use image::DynamicImage;
use image::metadata::Orientation;
use plinth_domain::preset::{Fit, Recipe};

use crate::Unreadable;

/// Converts the pixels to a kind that the scaler supports.
pub(crate) fn to_scalable(picture: DynamicImage) -> DynamicImage {
    if picture.pixel_type().is_some() {
        picture
    } else {
        picture.into_rgba8().into()
    }
}

/// Factor by which a copy must be larger than an image that is scaled from it, in both directions,
/// so that the earlier scaling is not visible.
const MIN_COPY_FACTOR: u32 = 2;

/// The size and fit of a derived image, before it is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fit: Fit,
}

impl Target {
    fn new(size: (u32, u32), orientation: Orientation, recipe: &Recipe) -> Self {
        let (width, height) = target_size(size, orientation, recipe);
        Self {
            width,
            height,
            fit: recipe.fit,
        }
    }

    /// Returns the part of a picture of this size that the image shows.
    pub(crate) fn crop_box(self, (width, height): (u32, u32)) -> CropBox {
        match self.fit {
            Fit::Contain => CropBox {
                left: 0.0,
                top: 0.0,
                width: width.into(),
                height: height.into(),
            },
            Fit::Cover => {
                CropBox::fit_src_into_dst_size(width, height, self.width, self.height, None)
            }
        }
    }

    pub(crate) fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// The step that makes one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Index of the recipe.
    pub(crate) recipe: usize,
    pub(crate) target: Target,
    /// Index of the earlier step whose image is scaled instead of the picture: a copy of the whole
    /// picture that is large enough.
    pub(crate) copied_from: Option<usize>,
}

/// Plans the images of a picture of this size: the largest first, because scaling smaller ones from
/// it is cheaper than from the picture.
pub(crate) fn plan(size: (u32, u32), orientation: Orientation, recipes: &[Recipe]) -> Vec<Step> {
    let step = |(index, recipe)| Step {
        recipe: index,
        target: Target::new(size, orientation, recipe),
        copied_from: None,
    };
    let mut steps: Vec<Step> = recipes.iter().enumerate().map(step).collect();
    steps.sort_by_key(|step| Reverse(step.target.pixels()));
    let mut copy: Option<(usize, Target)> = None;
    for (index, step) in steps.iter_mut().enumerate() {
        let required = required_size(
            size,
            orientation,
            std::slice::from_ref(&recipes[step.recipe]),
        );
        step.copied_from = copy
            .filter(|(_, copy)| suffices(*copy, required))
            .map(|(index, _)| index);
        if step.target.fit == Fit::Contain {
            copy = Some((index, step.target));
        }
    }
    steps
}

fn suffices(copy: Target, (width, height): (u32, u32)) -> bool {
    copy.width / MIN_COPY_FACTOR >= width && copy.height / MIN_COPY_FACTOR >= height
}

/// Scales a picture, or a copy of it, to the target.
pub(crate) fn scale(picture: &DynamicImage, target: Target) -> Result<DynamicImage, Unreadable> {
    let mut small = DynamicImage::new(target.width, target.height, picture.color());
    let CropBox {
        left,
        top,
        width,
        height,
    } = target.crop_box((picture.width(), picture.height()));
    let options = filter().crop(left, top, width, height);
    Resizer::new()
        .resize(picture, &mut small, &options)
        .map_err(|_| Unreadable::Unknown)?;
    Ok(small)
}

/// Returns the options of the scaling filter: Lanczos with three lobes.
pub(crate) fn filter() -> ResizeOptions {
    let filter =
        Filter::new("Lanczos3", lanczos, FILTER_SUPPORT).expect("the filter's support is positive");
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Custom(filter)))
}

/// Support of the filter, in pixels of the picture if it is not scaled down.
pub(crate) const FILTER_SUPPORT: f64 = 3.0;

/// Returns sinc(x) sinc(x / 3) between -3 and 3, with one sine instead of two: sin(3y) = 3 sin(y) -
/// 4 sin(y)^3.
fn lanczos(x: f64) -> f64 {
    if x.abs() >= FILTER_SUPPORT {
        return 0.0;
    }
    let angle = PI * x / FILTER_SUPPORT;
    if angle.abs() < 1e-9 {
        return 1.0;
    }
    let sine = angle.sin();
    sine * sine * (3.0 - 4.0 * sine * sine) / (angle * angle * FILTER_SUPPORT)
}

/// Returns the size of the derived image before it is rotated.
fn target_size(size: (u32, u32), orientation: Orientation, recipe: &Recipe) -> (u32, u32) {
    let bounds = if swaps_dimensions(orientation) {
        (recipe.height, recipe.width)
    } else {
        (recipe.width, recipe.height)
    };
    match recipe.fit {
        Fit::Contain => fit_within(size, bounds),
        Fit::Cover => fit_within(bounds, size),
    }
}

/// Returns the smallest size of the whole picture from which every derived image can be made
/// without enlarging.
pub(crate) fn required_size(
    size: (u32, u32),
    orientation: Orientation,
    recipes: &[Recipe],
) -> (u32, u32) {
    let whole = recipes.iter().map(|recipe| {
        let (width, height) = target_size(size, orientation, recipe);
        match recipe.fit {
            Fit::Contain => (width, height),
            // The other side extends beyond the box, by the picture's aspect ratio.
            Fit::Cover => (
                width.max(proportional(size.0, height, size.1)),
                height.max(proportional(size.1, width, size.0)),
            ),
        }
    });
    whole.fold((1, 1), |(wide, high), (width, height)| {
        (wide.max(width), high.max(height))
    })
}

/// Returns `side * numerator / denominator`, rounded up.
fn proportional(side: u32, numerator: u32, denominator: u32) -> u32 {
    let scaled = (u64::from(side) * u64::from(numerator)).div_ceil(u64::from(denominator.max(1)));
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

/// Returns whether width and height are swapped when the picture is rotated upright.
pub(crate) fn swaps_dimensions(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Returns the largest size with the same aspect ratio within the bounds, without enlarging.
fn fit_within((width, height): (u32, u32), (max_width, max_height): (u32, u32)) -> (u32, u32) {
    if width <= max_width && height <= max_height {
        return (width, height);
    }
    // Which side reaches its bound first: width / max_width against height / max_height.
    let by_width =
        u64::from(width) * u64::from(max_height) >= u64::from(height) * u64::from(max_width);
    let (numerator, denominator) = if by_width {
        (max_width, width)
    } else {
        (max_height, height)
    };
    let scale = |side: u32, max: u32| {
        let scaled = (u64::from(side) * u64::from(numerator) + u64::from(denominator) / 2)
            / u64::from(denominator);
        u32::try_from(scaled).unwrap_or(max).clamp(1, max)
    };
    (scale(width, max_width), scale(height, max_height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(picture: (u32, u32), orientation: Orientation, recipe: &str) -> (u32, u32) {
        target_size(
            picture,
            orientation,
            &format!("{recipe} png").parse().expect("a recipe"),
        )
    }

    #[test]
    fn pictures_fit_the_box_and_never_grow() {
        for (picture, recipe, fitted) in [
            ((4000, 3000), "1024x1024 contain", (1024, 768)),
            ((3000, 4000), "256x256 contain", (192, 256)),
            ((200, 100), "256x256 contain", (200, 100)),
            ((256, 256), "256x256 contain", (256, 256)),
            ((257, 256), "256x256 contain", (256, 255)),
            ((100_000, 1), "256x256 contain", (256, 1)),
            ((1, 1), "256x256 contain", (1, 1)),
            ((4000, 3000), "300x100 contain", (133, 100)),
            ((4000, 3000), "256x256 cover", (256, 256)),
            ((4000, 3000), "300x100 cover", (300, 100)),
            // Too small to fill the box: the same aspect ratio, as large as possible.
            ((200, 100), "256x256 cover", (100, 100)),
            ((200, 100), "300x100 cover", (200, 67)),
            ((1, 1), "256x256 cover", (1, 1)),
        ] {
            assert_eq!(
                size(picture, Orientation::NoTransforms, recipe),
                fitted,
                "{picture:?} {recipe}"
            );
        }
    }

    #[test]
    fn the_filter_is_lanczos_with_three_lobes() {
        let sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                (PI * x).sin() / (PI * x)
            }
        };
        for hundredths in -350..=350 {
            let x = f64::from(hundredths) / 100.0;
            let expected = if x.abs() < 3.0 {
                sinc(x) * sinc(x / 3.0)
            } else {
                0.0
            };
            assert!((lanczos(x) - expected).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn the_required_size_is_enough_for_every_recipe() {
        let required = |texts: &[&str]| {
            let recipes: Vec<Recipe> = texts
                .iter()
                .map(|text| text.parse().expect("a recipe"))
                .collect();
            required_size((4000, 3000), Orientation::NoTransforms, &recipes)
        };
        assert_eq!(required(&["256x256 contain png"]), (256, 192));
        assert_eq!(required(&["256x256 cover png"]), (342, 256));
        assert_eq!(required(&["300x10 cover png"]), (300, 225));
        assert_eq!(
            required(&["256x256 cover png", "1024x1024 contain png"]),
            (1024, 768)
        );
        assert_eq!(required(&[]), (1, 1));
    }

    #[test]
    fn the_box_applies_to_the_upright_picture() {
        assert_eq!(
            size((4000, 3000), Orientation::Rotate90, "300x100 cover"),
            (100, 300)
        );
        assert_eq!(
            size((4000, 3000), Orientation::Rotate270FlipH, "300x100 contain"),
            (100, 75)
        );
        assert_eq!(
            size((4000, 3000), Orientation::Rotate180, "300x100 cover"),
            (300, 100)
        );
    }
}
