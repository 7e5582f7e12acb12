//! Scales a picture while it is decoded, some rows at a time, so that most of it is never in memory
//! at once. Touching memory pages for the first time is a large part of a picture's cost.

use std::ops::Range;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{CropBox, PixelType, Resizer};
use image::{DynamicImage, GrayImage, RgbImage};

use crate::Unreadable;
use crate::cmyk::CmykConverter;
use crate::derive::{FILTER_SUPPORT, Target, filter};

/// Target bytes of the rows that are decoded at once, so that they stay in the processor's cache.
const STRIP_BYTES: usize = 512 * 1024;

/// The channels of a picture, with one byte each.
#[derive(Clone, Copy)]
pub(crate) enum Pixel<'a> {
    Grey,
    Rgb,
    Cmyk(&'a CmykConverter),
}

impl Pixel<'_> {
    fn kind(self) -> PixelType {
        match self {
            Self::Grey => PixelType::U8,
            Self::Rgb => PixelType::U8x3,
            Self::Cmyk(_) => PixelType::U8x4,
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
            Self::Cmyk(converter) => {
                RgbImage::from_raw(width, height, converter.to_rgb(image.buffer()))
                    .map(DynamicImage::from)
            }
        }
    }
}

/// The images of a picture whose rows arrive from first to last.
pub(crate) struct Strips<'a> {
    size: (u32, u32),
    pixel: Pixel<'a>,
    /// The rows of the picture that are in the window.
    rows: Range<u32>,
    /// The bytes of these rows. The rest of the buffer is overwritten by the next rows.
    window: Vec<u8>,
    images: Vec<PartialImage>,
    resizer: Resizer,
}

impl<'a> Strips<'a> {
    /// Creates the images of a picture of this size. Each has the part of the picture that it
    /// shows.
    pub(crate) fn new(
        size: (u32, u32),
        pixel: Pixel<'a>,
        images: impl IntoIterator<Item = (Target, CropBox)>,
    ) -> Self {
        let images = images
            .into_iter()
            .map(|(target, crop)| PartialImage::new(size, pixel, target, crop))
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

    /// Returns the number of rows of a strip.
    fn rows_per_strip(&self) -> u32 {
        u32::try_from((STRIP_BYTES / self.stride().max(1)).max(1)).unwrap_or(u32::MAX)
    }

    /// Returns the buffer for the picture's next rows: a strip, or the rest of the picture. Returns
    /// `None` after the last row.
    pub(crate) fn next_rows(&mut self) -> Option<&mut [u8]> {
        let left = self.size.1 - self.rows.end;
        if left == 0 {
            return None;
        }
        let stride = self.stride();
        let count = self.rows_per_strip().min(left);
        let filled = to_usize(self.rows.end - self.rows.start) * stride;
        self.rows.end += count;
        let end = filled + to_usize(count) * stride;
        if self.window.len() < end {
            self.window.resize(end, 0);
        }
        Some(&mut self.window[filled..end])
    }

    /// Scales what the available rows allow, and drops the rows that are no longer needed.
    pub(crate) fn process_rows(&mut self) -> Result<(), Unreadable> {
        let (rows, stride) = (self.rows.clone(), self.stride());
        let filled = to_usize(rows.end - rows.start) * stride;
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
                image.available_rows(rows.end)
            };
            image.scale_rows(&window, rows.start, until, &mut self.resizer)?;
            if until < image.target.height {
                first = first.min(image.first_needed_row());
            }
        }
        self.rows.start = first.max(rows.start);
        self.window
            .copy_within(to_usize(self.rows.start - rows.start) * stride..filled, 0);
        Ok(())
    }

    /// Returns the images, in the order of their targets.
    pub(crate) fn images(self) -> Result<Vec<DynamicImage>, Unreadable> {
        let mut resizer = self.resizer;
        self.images
            .into_iter()
            .map(|image| image.finish(self.pixel, &mut resizer))
            .collect()
    }

    /// Returns the bytes of a row.
    pub(crate) fn stride(&self) -> usize {
        to_usize(self.size.0) * self.pixel.kind().size()
    }
}

/// An image whose first rows are scaled vertically, while it still has the picture's width.
struct PartialImage {
    target: Target,
    /// The part of the picture that the image shows.
    crop: CropBox,
    /// Rows of the picture per row of the image.
    step: f64,
    done: u32,
    rows: Image<'static>,
}

impl PartialImage {
    fn new(size: (u32, u32), pixel: Pixel<'_>, target: Target, crop: CropBox) -> Self {
        let step = crop.height / f64::from(target.height);
        Self {
            target,
            crop,
            step,
            done: 0,
            rows: Image::new(size.0, target.height, pixel.kind()),
        }
    }

    /// Returns the rows of the picture, in addition to those under a row, from which the row is
    /// computed, plus one for rounding.
    fn filter_support(&self) -> f64 {
        FILTER_SUPPORT * self.step.max(1.0) + 1.0
    }

    /// Returns the first row of the picture that is still needed.
    fn first_needed_row(&self) -> u32 {
        row_at(self.crop.top + f64::from(self.done) * self.step - self.filter_support())
    }

    /// Returns the number of rows that can be computed from the picture's rows before `end`.
    fn available_rows(&self, end: u32) -> u32 {
        let rows = row_at((f64::from(end) - self.filter_support() - self.crop.top) / self.step);
        rows.clamp(self.done, self.target.height)
    }

    /// Scales the rows before `until` from a window that begins at the picture's row `first`.
    fn scale_rows(
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
        let top = self.crop.top + f64::from(self.done) * self.step - f64::from(first);
        // Rounding must not extend the area below the last row.
        let height = (f64::from(count) * self.step).min(f64::from(window.height()) - top);
        let options = filter()
            .use_alpha(false)
            .crop(0.0, top, width.into(), height);
        let stride = to_usize(width) * kind.size();
        let rows =
            &mut self.rows.buffer_mut()[to_usize(self.done) * stride..to_usize(until) * stride];
        let mut rows =
            Image::from_slice_u8(width, count, rows, kind).map_err(|_| Unreadable::Unknown)?;
        resizer
            .resize(window, &mut rows, &options)
            .map_err(|_| Unreadable::Unknown)?;
        self.done = until;
        Ok(())
    }

    /// Scales the image to its final width.
    fn finish(self, pixel: Pixel<'_>, resizer: &mut Resizer) -> Result<DynamicImage, Unreadable> {
        let (Target { width, height, .. }, kind) = (self.target, self.rows.pixel_type());
        let mut image = Image::new(width, height, kind);
        let options =
            filter()
                .use_alpha(false)
                .crop(self.crop.left, 0.0, self.crop.width, height.into());
        resizer
            .resize(&self.rows, &mut image, &options)
            .map_err(|_| Unreadable::Unknown)?;
        pixel.image(image).ok_or(Unreadable::Unknown)
    }
}

/// Returns the row at a vertical position, or the first row for a position above it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pictures have fewer rows"
)]
fn row_at(position: f64) -> u32 {
    position.max(0.0) as u32
}

fn to_usize(edge: u32) -> usize {
    usize::try_from(edge).expect("usize has at least 32 bits")
}

#[cfg(test)]
mod tests {
    use plinth_domain::preset::Fit;
    use proptest::prelude::*;

    use super::*;
    use crate::derive::scale;

    /// Feeds a picture strip by strip, and returns the images.
    fn read(picture: &RgbImage, targets: &[Target]) -> Vec<DynamicImage> {
        let size = picture.dimensions();
        let crop = targets
            .iter()
            .map(|target| (*target, target.crop_box(size)));
        let mut strips = Strips::new(size, Pixel::Rgb, crop);
        let mut rest = picture.as_raw().as_slice();
        while let Some(rows) = strips.next_rows() {
            let (now, later) = rest.split_at(rows.len());
            rows.copy_from_slice(now);
            rest = later;
            strips.process_rows().expect("scales");
        }
        strips.images().expect("all rows arrived")
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
        fn scaling_in_strips_equals_scaling_the_whole_picture(
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
                let max_difference = image.as_bytes().iter().zip(expected.as_bytes()).map(|(one, other)| one.abs_diff(*other)).max();
                prop_assert!(max_difference <= Some(1), "{max_difference:?} {target:?}");
            }
        }
    }
}
