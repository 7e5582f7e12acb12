//! The planes of a picture, one for each component. They are made as high as the images are each by itself, whatever their
//! resolution is; only then are pixels made of them.

use fast_image_resize::CropBox;
use image::DynamicImage;

use super::Irregular;
use super::bits::Bits;
use super::frame::{Component, Frame};
use super::scan::{Lines, Scan};
use super::transform::EDGE;
use crate::derive::Target;
use crate::strips::{Pixel, Spread, Strips, at_once, length};

/// How much of the wanted size is enough for colours, which are seen less sharply than brightness: what is made of them is
/// written with half of it in most files. Sizes that are just too small are most common: a quarter of 4000 for 1024.
const ENOUGH_COLOUR: f64 = 0.875;

/// What becomes of one component.
pub(super) struct Plane {
    /// Pixels of a block, in either direction.
    edge: usize,
    /// Pixels of a line.
    width: usize,
    /// Pixels of a unit side by side, and below each other.
    unit: (u32, u32),
    /// Whether it is not smaller than wanted.
    is_enough: bool,
    strips: Strips,
}

/// Reads the picture, whose planes shall be no smaller than `wanted` where they are not smaller themselves.
pub(super) fn read(
    frame: &Frame<'_>,
    targets: &[Target],
    wanted: (u32, u32),
) -> Result<Vec<DynamicImage>, Irregular> {
    let enough = [1.0, ENOUGH_COLOUR, ENOUGH_COLOUR];
    let planes = frame.components.iter().zip(enough).map(|(component, enough)| {
        let wanted = (f64::from(wanted.0) * enough, f64::from(wanted.1) * enough);
        Plane::new(component, frame, targets, wanted)
    });
    let mut planes: Vec<Plane> = planes.collect();
    let spread = spread(&planes)?;
    let line: usize = planes.iter().map(|plane| plane.width * length(plane.unit.1)).sum();
    let at_once = at_once(line);
    let mut scan = Scan::new(Bits::new(frame.scan), frame.restarts);
    let (wide, high) = frame.units();
    let mut left = high;
    while left > 0 {
        let count = at_once.min(left);
        let lines = planes.iter_mut().zip(&frame.components).map(|(plane, component)| {
            let room = plane.strips.room(plane.unit.1 * count).ok_or(Irregular)?;
            Ok(Lines::new(component, plane.edge, plane.width, room))
        });
        let mut lines = lines.collect::<Result<Vec<_>, Irregular>>()?;
        for _ in 0..count {
            scan.read_line(wide, &mut lines)?;
        }
        for plane in &mut planes {
            plane.strips.develop()?;
        }
        left -= count;
    }
    let mut planes = planes.into_iter();
    let brightness = planes.next().ok_or(Irregular)?;
    let (Some(blue), Some(red)) = (planes.next(), planes.next()) else {
        return Ok(brightness.strips.images()?);
    };
    let planes = [brightness, blue, red].map(|plane| plane.strips);
    Ok(Strips::joined(planes, spread, colour)?)
}

/// How many pixels of brightness side by side one of colour stands for. Where it is two, nearly twice as many as wanted are
/// made narrow, so that none is seen by itself; the other library draws colours more finely where that is not so.
fn spread(planes: &[Plane]) -> Result<Spread, Irregular> {
    let [brightness, blue, red] = planes else { return Ok(Spread::One) };
    match brightness.unit.0 {
        _ if red.unit != blue.unit => Err(Irregular),
        width if width == blue.unit.0 => Ok(Spread::One),
        width if width == 2 * blue.unit.0 && blue.is_enough => Ok(Spread::Two),
        _ => Err(Irregular),
    }
}

impl Plane {
    fn new(component: &Component, frame: &Frame<'_>, targets: &[Target], wanted: (f64, f64)) -> Self {
        let ((width, height), most) = (frame.size, frame.most_blocks);
        // Its share of the picture's, in pixels that need not be whole.
        let scaled = |side: u32, blocks: u32, most: u32, edge: u32| {
            f64::from(side) * f64::from(blocks * edge) / f64::from(most * EDGE)
        };
        let size = |edge: u32| {
            let (across, down) = component.blocks;
            (scaled(width, across, most.0, edge), scaled(height, down, most.1, edge))
        };
        let is_enough = |edge: &u32| {
            let (width, height) = size(*edge);
            width >= wanted.0 && height >= wanted.1
        };
        let enough = [1, 2, 4, EDGE].into_iter().find(is_enough);
        let edge = enough.unwrap_or(EDGE);
        let (wide, high) = size(edge);
        let (across, down) = (wide / f64::from(width), high / f64::from(height));
        let images = targets.iter().map(|target| {
            let shown = target.shows((width, height));
            let (left, top) = (shown.left * across, shown.top * down);
            let width = (shown.width * across).min(wide - left);
            (*target, CropBox { left, top, width, height: (shown.height * down).min(high - top) })
        });
        let size = (whole(wide), whole(high));
        Self {
            edge: length(edge),
            width: length(size.0),
            unit: (component.blocks.0 * edge, component.blocks.1 * edge),
            is_enough: enough.is_some(),
            strips: Strips::new(size, Pixel::Grey, images),
        }
    }
}

/// As many pixels as there are, the last of which may show less than the others.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no more than the picture has")]
fn whole(side: f64) -> u32 {
    side.ceil() as u32
}

/// Red, green and blue of brightness and the differences of blue and red to it (T.871, 7).
#[inline]
fn colour(pixel: [u8; 3]) -> [u8; 3] {
    let [brightness, blue, red] = pixel.map(i32::from);
    // In parts of 65,536, and half of one.
    let (brightness, blue, red) = ((brightness << 16) + (1 << 15), blue - 128, red - 128);
    let sums =
        [brightness + 91_881 * red, brightness - 22_554 * blue - 46_802 * red, brightness + 116_130 * blue];
    sums.map(|sum| (sum >> 16).clamp(0, 255).to_le_bytes()[0])
}
