//! Scales a picture while it is read: some of its rows at a time, so that most of it is never in memory at once. Pages of
//! memory that a process touches for the first time are a large part of what a picture costs.

use std::ops::Range;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{CropBox, PixelType, Resizer};
use image::{DynamicImage, GrayImage, RgbImage};

use crate::Unreadable;
use crate::derive::{REACH, Target, filter};
use crate::inks::Inks;

/// Rows are read as many at a time as make so many bytes: they stay in the processor's cache.
const STRIP: usize = 512 * 1024;

/// The channels of a picture, one byte each.
#[derive(Clone, Copy)]
pub(crate) enum Pixel<'a> {
    Grey,
    Rgb,
    Inks(&'a Inks),
}

impl Pixel<'_> {
    fn kind(self) -> PixelType {
        match self {
            Self::Grey => PixelType::U8,
            Self::Rgb => PixelType::U8x3,
            Self::Inks(_) => PixelType::U8x4,
        }
    }

    fn image(self, image: Image<'_>) -> Option<DynamicImage> {
        let (width, height) = (image.width(), image.height());
        match self {
            Self::Grey => {
                GrayImage::from_raw(width, height, image.into_vec()).map(DynamicImage::from)
            }
            Self::Rgb => {
                RgbImage::from_raw(width, height, image.into_vec()).map(DynamicImage::from)
            }
            Self::Inks(inks) => RgbImage::from_raw(width, height, inks.to_rgb(image.buffer()))
                .map(DynamicImage::from),
        }
    }
}

/// Images of a picture that comes from its first row to its last.
pub(crate) struct Strips<'a> {
    size: (u32, u32),
    pixel: Pixel<'a>,
    /// The rows that are there.
    rows: Range<u32>,
    /// These rows, and behind them what is written over by the next ones.
    window: Vec<u8>,
    images: Vec<Growing>,
    resizer: Resizer,
}

impl<'a> Strips<'a> {
    /// Images of a picture of this size, each of what of it shall be shown.
    pub(crate) fn new(
        size: (u32, u32),
        pixel: Pixel<'a>,
        images: impl IntoIterator<Item = (Target, CropBox)>,
    ) -> Self {
        let images = images
            .into_iter()
            .map(|(target, shown)| Growing::new(size, pixel, target, shown))
            .collect();
        Self {
            size,
            pixel,
            rows: 0..0,
            window: Vec::new(),
            images,
            resizer: Resizer::new(),
        }
    }

    /// As many rows as make a strip.
    fn at_once(&self) -> u32 {
        u32::try_from((STRIP / self.stride().max(1)).max(1)).unwrap_or(u32::MAX)
    }

    /// Returns the buffer for the picture's next rows: a strip, or the rest of the picture. Returns `None` once all rows
    /// have come.
    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        let left = self.size.1 - self.rows.end;
        if left == 0 {
            return None;
        }
        let stride = self.stride();
        let count = self.at_once().min(left);
        let filled = length(self.rows.end - self.rows.start) * stride;
        self.rows.end += count;
        let end = filled + length(count) * stride;
        if self.window.len() < end {
            self.window.resize(end, 0);
        }
        Some(&mut self.window[filled..end])
    }

    /// Makes what can be made of the rows that are there, and forgets those that nothing more is made of.
    pub(crate) fn develop(&mut self) -> Result<(), Unreadable> {
        let (rows, stride) = (self.rows.clone(), self.stride());
        let filled = length(rows.end - rows.start) * stride;
        let window = &self.window[..filled];
        let window = ImageRef::new(
            self.size.0,
            rows.end - rows.start,
            window,
            self.pixel.kind(),
        );
        let window = window.map_err(|_| Unreadable::Unknown)?;
        let mut first = rows.end;
        for image in &mut self.images {
            let until = if rows.end == self.size.1 {
                image.target.height
            } else {
                image.ready(rows.end)
            };
            image.grow(&window, rows.start, until, &mut self.resizer)?;
            if until < image.target.height {
                first = first.min(image.needs());
            }
        }
        self.rows.start = first.max(rows.start);
        self.window
            .copy_within(length(self.rows.start - rows.start) * stride..filled, 0);
        Ok(())
    }

    /// The images, in the order of their targets.
    pub(crate) fn images(self) -> Result<Vec<DynamicImage>, Unreadable> {
        let mut resizer = self.resizer;
        self.images
            .into_iter()
            .map(|image| image.finish(self.pixel, &mut resizer))
            .collect()
    }

    /// Bytes of a row.
    pub(crate) fn stride(&self) -> usize {
        length(self.size.0) * self.pixel.kind().size()
    }
}

/// An image of which the rows before `done` are made, as wide as the picture still.
struct Growing {
    target: Target,
    /// What of the picture it shows.
    shown: CropBox,
    /// Rows of the picture for one of its own.
    step: f64,
    done: u32,
    rows: Image<'static>,
}

impl Growing {
    fn new(size: (u32, u32), pixel: Pixel<'_>, target: Target, shown: CropBox) -> Self {
        let step = shown.height / f64::from(target.height);
        Self {
            target,
            shown,
            step,
            done: 0,
            rows: Image::new(size.0, target.height, pixel.kind()),
        }
    }

    /// Rows of the picture, beside those that a row lies on, that it is made of, and one for rounding.
    fn reach(&self) -> f64 {
        REACH * self.step.max(1.0) + 1.0
    }

    /// The first row of the picture that is still needed.
    fn needs(&self) -> u32 {
        row(self.shown.top + f64::from(self.done) * self.step - self.reach())
    }

    /// The rows that can be made of the picture's before this one.
    fn ready(&self, end: u32) -> u32 {
        let rows = row((f64::from(end) - self.reach() - self.shown.top) / self.step);
        rows.clamp(self.done, self.target.height)
    }

    /// Makes the rows before `until` of a window whose first row is that one of the picture.
    fn grow(
        &mut self,
        window: &ImageRef<'_>,
        first: u32,
        until: u32,
        resizer: &mut Resizer,
    ) -> Result<(), Unreadable> {
        if until <= self.done {
            return Ok(());
        }
        let (width, kind, count) = (self.rows.width(), self.rows.pixel_type(), until - self.done);
        let top = self.shown.top + f64::from(self.done) * self.step - f64::from(first);
        // What rounding adds must not lie below the last row.
        let height = (f64::from(count) * self.step).min(f64::from(window.height()) - top);
        let options = filter()
            .use_alpha(false)
            .crop(0.0, top, width.into(), height);
        let stride = length(width) * kind.size();
        let rows = &mut self.rows.buffer_mut()[length(self.done) * stride..length(until) * stride];
        let mut rows =
            Image::from_slice_u8(width, count, rows, kind).map_err(|_| Unreadable::Unknown)?;
        resizer
            .resize(window, &mut rows, &options)
            .map_err(|_| Unreadable::Unknown)?;
        self.done = until;
        Ok(())
    }

    /// Makes it as narrow as it shall be.
    fn finish(self, pixel: Pixel<'_>, resizer: &mut Resizer) -> Result<DynamicImage, Unreadable> {
        let (Target { width, height, .. }, kind) = (self.target, self.rows.pixel_type());
        let mut image = Image::new(width, height, kind);
        let options =
            filter()
                .use_alpha(false)
                .crop(self.shown.left, 0.0, self.shown.width, height.into());
        resizer
            .resize(&self.rows, &mut image, &options)
            .map_err(|_| Unreadable::Unknown)?;
        pixel.image(image).ok_or(Unreadable::Unknown)
    }
}

/// The row that a place lies on; the first one for what is above it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pictures have fewer rows"
)]
fn row(place: f64) -> u32 {
    place.max(0.0) as u32
}

fn length(edge: u32) -> usize {
    usize::try_from(edge).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use plinth_domain::preset::Fit;
    use proptest::prelude::*;

    use super::*;
    use crate::derive::scale;

    /// Reads a picture row by row, a few at a time.
    fn read(picture: &RgbImage, targets: &[Target]) -> Vec<DynamicImage> {
        let size = picture.dimensions();
        let shown = targets.iter().map(|target| (*target, target.shows(size)));
        let mut strips = Strips::new(size, Pixel::Rgb, shown);
        let mut rest = picture.as_raw().as_slice();
        while let Some(rows) = strips.room() {
            let (now, later) = rest.split_at(rows.len());
            rows.copy_from_slice(now);
            rest = later;
            strips.develop().expect("scales");
        }
        strips.images().expect("are whole")
    }

    fn noise(width: u32, height: u32) -> RgbImage {
        let mut random = 12_345_u32;
        RgbImage::from_fn(width, height, |_, _| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([24, 16, 8].map(|bits| (random >> bits).to_le_bytes()[0]))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_picture_in_strips_gives_the_images_that_it_gives_as_a_whole(
            width in prop_oneof![1_u32..40, 7_000_u32..9_000],
            height in 1_u32..400,
            edges in prop::collection::vec((1_u32..300, 1_u32..300, any::<bool>()), 1..4),
        ) {
            let picture = noise(width, height);
            let targets: Vec<Target> = edges.into_iter().map(|(wide, high, covers)| Target {
                width: wide.min(width),
                height: high.min(height),
                fit: if covers { Fit::Cover } else { Fit::Contain },
            }).collect();
            let whole = DynamicImage::from(picture.clone());
            for (image, target) in read(&picture, &targets).iter().zip(&targets) {
                let expected = scale(&whole, *target).expect("scales");
                prop_assert_eq!((image.width(), image.height()), (target.width, target.height));
                let furthest = image.as_bytes().iter().zip(expected.as_bytes()).map(|(one, other)| one.abs_diff(*other)).max();
                prop_assert!(furthest <= Some(1), "{furthest:?} {target:?}");
            }
        }
    }
}
