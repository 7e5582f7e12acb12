//! Which images are made, of what, and how: from the pixels of the file to those of a derived image.

use std::cmp::Reverse;
use std::f64::consts::PI;

use fast_image_resize::{
    CropBox, Filter, FilterType, IntoImageView as _, ResizeAlg, ResizeOptions, Resizer,
};
use image::DynamicImage;
use image::metadata::Orientation;
use plinth_domain::preset::{Fit, Recipe};

use crate::Unreadable;

/// Pixels of a kind that the scaler understands.
pub(crate) fn scalable(picture: DynamicImage) -> DynamicImage {
    if picture.pixel_type().is_some() {
        picture
    } else {
        picture.into_rgba8().into()
    }
}

/// How many times the pixels of a line, and of a column, a smaller copy must have to be as good as the picture: what was
/// scaled before then cannot be told in what is made of it.
const SPARE: u32 = 2;

/// An image that is to be made, before it is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fit: Fit,
}

impl Target {
    fn new(size: (u32, u32), orientation: Orientation, recipe: &Recipe) -> Self {
        let (width, height) = target(size, orientation, recipe);
        Self {
            width,
            height,
            fit: recipe.fit,
        }
    }

    /// What it shows of a picture of this size.
    pub(crate) fn shows(self, (width, height): (u32, u32)) -> CropBox {
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

/// How one image is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// The place of its recipe.
    pub(crate) recipe: usize,
    pub(crate) target: Target,
    /// The earlier step whose image is a copy of the whole picture and large enough to be scaled instead of it.
    pub(crate) of: Option<usize>,
}

/// How images of a picture of this size are made by these recipes: the largest first, since smaller ones are cheapest
/// made of it.
pub(crate) fn plan(size: (u32, u32), orientation: Orientation, recipes: &[Recipe]) -> Vec<Step> {
    let step = |(place, recipe)| Step {
        recipe: place,
        target: Target::new(size, orientation, recipe),
        of: None,
    };
    let mut steps: Vec<Step> = recipes.iter().enumerate().map(step).collect();
    steps.sort_by_key(|step| Reverse(step.target.pixels()));
    let mut copy: Option<(usize, Target)> = None;
    for (place, step) in steps.iter_mut().enumerate() {
        let wanted = wanted(
            size,
            orientation,
            std::slice::from_ref(&recipes[step.recipe]),
        );
        step.of = copy
            .filter(|(_, copy)| suffices(*copy, wanted))
            .map(|(place, _)| place);
        if step.target.fit == Fit::Contain {
            copy = Some((place, step.target));
        }
    }
    steps
}

fn suffices(copy: Target, (width, height): (u32, u32)) -> bool {
    copy.width / SPARE >= width && copy.height / SPARE >= height
}

/// An image of a picture, or of a copy of it.
pub(crate) fn scale(picture: &DynamicImage, target: Target) -> Result<DynamicImage, Unreadable> {
    let mut small = DynamicImage::new(target.width, target.height, picture.color());
    let CropBox {
        left,
        top,
        width,
        height,
    } = target.shows((picture.width(), picture.height()));
    let options = filter().crop(left, top, width, height);
    Resizer::new()
        .resize(picture, &mut small, &options)
        .map_err(|_| Unreadable::Unknown)?;
    Ok(small)
}

/// How pixels are made of others.
pub(crate) fn filter() -> ResizeOptions {
    let filter = Filter::new("Lanczos3", lanczos, REACH).expect("it reaches beyond nothing");
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Custom(filter)))
}

/// How far the filter reaches, in pixels of the picture where it is not made smaller.
pub(crate) const REACH: f64 = 3.0;

/// sinc(x) sinc(x / 3) between -3 and 3, with one sine instead of two: sin(3y) = 3 sin(y) - 4 sin(y)^3.
fn lanczos(x: f64) -> f64 {
    if x.abs() >= REACH {
        return 0.0;
    }
    let angle = PI * x / REACH;
    if angle.abs() < 1e-9 {
        return 1.0;
    }
    let sine = angle.sin();
    sine * sine * (3.0 - 4.0 * sine * sine) / (angle * angle * REACH)
}

/// The size of the derived image before it is turned.
fn target(size: (u32, u32), orientation: Orientation, recipe: &Recipe) -> (u32, u32) {
    let bounds = if lies_on_its_side(orientation) {
        (recipe.height, recipe.width)
    } else {
        (recipe.width, recipe.height)
    };
    match recipe.fit {
        Fit::Contain => within(size, bounds),
        Fit::Cover => within(bounds, size),
    }
}

/// The smallest size of the whole picture of which every derived image can be made without enlarging anything.
pub(crate) fn wanted(size: (u32, u32), orientation: Orientation, recipes: &[Recipe]) -> (u32, u32) {
    let whole = recipes.iter().map(|recipe| {
        let (width, height) = target(size, orientation, recipe);
        match recipe.fit {
            Fit::Contain => (width, height),
            // The other side goes beyond the box as far as the shape of the picture wants it to.
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

/// `side * numerator / denominator`, rounded up.
fn proportional(side: u32, numerator: u32, denominator: u32) -> u32 {
    let scaled = (u64::from(side) * u64::from(numerator)).div_ceil(u64::from(denominator.max(1)));
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

/// Whether width and height change places when it is turned upright.
pub(crate) fn lies_on_its_side(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The largest size of the same shape within the bounds, and never larger than it was.
fn within((width, height): (u32, u32), (most_wide, most_high): (u32, u32)) -> (u32, u32) {
    if width <= most_wide && height <= most_high {
        return (width, height);
    }
    // Which side meets its bound first: width / most_wide against height / most_high.
    let by_width =
        u64::from(width) * u64::from(most_high) >= u64::from(height) * u64::from(most_wide);
    let (numerator, denominator) = if by_width {
        (most_wide, width)
    } else {
        (most_high, height)
    };
    let scale = |side: u32, most: u32| {
        let scaled = (u64::from(side) * u64::from(numerator) + u64::from(denominator) / 2)
            / u64::from(denominator);
        u32::try_from(scaled).unwrap_or(most).clamp(1, most)
    };
    (scale(width, most_wide), scale(height, most_high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(picture: (u32, u32), orientation: Orientation, recipe: &str) -> (u32, u32) {
        target(
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
            // Too small to fill the box: the same shape, as large as it can be.
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
        for place in -350..=350 {
            let x = f64::from(place) / 100.0;
            let expected = if x.abs() < 3.0 {
                sinc(x) * sinc(x / 3.0)
            } else {
                0.0
            };
            assert!((lanczos(x) - expected).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn what_is_wanted_of_a_picture_is_enough_for_every_recipe() {
        let of = |texts: &[&str]| {
            let recipes: Vec<Recipe> = texts
                .iter()
                .map(|text| text.parse().expect("a recipe"))
                .collect();
            wanted((4000, 3000), Orientation::NoTransforms, &recipes)
        };
        assert_eq!(of(&["256x256 contain png"]), (256, 192));
        assert_eq!(of(&["256x256 cover png"]), (342, 256));
        assert_eq!(of(&["300x10 cover png"]), (300, 225));
        assert_eq!(
            of(&["256x256 cover png", "1024x1024 contain png"]),
            (1024, 768)
        );
        assert_eq!(of(&[]), (1, 1));
    }

    #[test]
    fn the_box_is_that_of_the_upright_picture() {
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
