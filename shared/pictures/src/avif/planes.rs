//! From the decoder's planes to red, green, blue and opacity of 8 bits (ITU-T H.273, section 8.3).

use re_rav1d::dav1d::pixel::YUVRange;
use re_rav1d::dav1d::{Picture, PixelLayout, PlanarImageComponent, Plane};

use super::container::CodePoints;

/// What of each of the three planes is in red, green and blue.
type Matrix = [[f32; 3]; 3];

/// Numbers of the table of matrices.
const IDENTITY: u16 = 0;
const BT_709: u16 = 1;
const FCC: u16 = 4;
const SMPTE_240M: u16 = 7;
const YCGCO: u16 = 8;
const BT_2020: [u16; 2] = [9, 10];

/// One plane, read by the picture's lines.
struct Channel {
    plane: Plane,
    /// Bytes of a line.
    stride: usize,
    /// A sample takes two bytes.
    is_deep: bool,
    /// By how many bits width and height are less than the picture's.
    shifts: (u8, u8),
    /// The sample that stands for nothing.
    zero: f32,
    /// How far from it the one is that stands for all.
    span: f32,
}

impl Channel {
    /// `is_signed` where samples stand for more and for less than nothing.
    fn new(
        picture: &Picture,
        component: PlanarImageComponent,
        is_full: bool,
        is_signed: bool,
    ) -> Self {
        let bits = picture.bit_depth();
        let unit = f32::from(1_u16 << bits.clamp(8, 12).saturating_sub(8));
        let (zero, span) = match (is_full, is_signed) {
            (true, false) => (0.0, unit * 256.0 - 1.0),
            (true, true) => (unit * 128.0, unit * 256.0 - 1.0),
            (false, false) => (unit * 16.0, unit * 219.0),
            (false, true) => (unit * 128.0, unit * 224.0),
        };
        let shifts = match (component, picture.pixel_layout()) {
            (PlanarImageComponent::Y, _) | (_, PixelLayout::I400 | PixelLayout::I444) => (0, 0),
            (_, PixelLayout::I422) => (1, 0),
            (_, PixelLayout::I420) => (1, 1),
        };
        let stride = usize::try_from(picture.stride(component)).expect("of a picture in memory");
        Self {
            plane: picture.plane(component),
            stride,
            is_deep: bits > 8,
            shifts,
            zero,
            span,
        }
    }

    /// A line of the picture.
    fn read(&self, number: usize, line: &mut [f32]) {
        let samples = &self.plane[(number >> self.shifts.1) * self.stride..];
        for (place, value) in line.iter_mut().enumerate() {
            let place = place >> self.shifts.0;
            let sample = if self.is_deep {
                u16::from_ne_bytes([samples[2 * place], samples[2 * place + 1]])
            } else {
                samples[place].into()
            };
            *value = (f32::from(sample) - self.zero) / self.span;
        }
    }
}

/// Writes red, green and blue of each pixel, of `width` to a line and `bytes` to a pixel.
pub(super) fn paint(
    picture: &Picture,
    said: Option<CodePoints>,
    pixels: &mut [u8],
    width: usize,
    bytes: usize,
) {
    // The container has the last word.
    let (matrix, is_full) = said.map_or_else(
        || {
            (
                picture.matrix_coefficients() as u16,
                picture.color_range() == YUVRange::Full,
            )
        },
        |said| (said.matrix, said.is_full_range),
    );
    let is_grey = picture.pixel_layout() == PixelLayout::I400;
    // Where each plane is a colour none of them goes below nothing.
    let is_signed = matrix != IDENTITY;
    let matrix = weights(if is_grey { BT_709 } else { matrix });
    let mut channels = vec![Channel::new(
        picture,
        PlanarImageComponent::Y,
        is_full,
        false,
    )];
    if !is_grey {
        for component in [PlanarImageComponent::U, PlanarImageComponent::V] {
            channels.push(Channel::new(picture, component, is_full, is_signed));
        }
    }
    let mut lines = [vec![0.0; width], vec![0.0; width], vec![0.0; width]];
    for (number, row) in pixels.chunks_exact_mut(width * bytes).enumerate() {
        for (channel, line) in channels.iter().zip(&mut lines) {
            channel.read(number, line);
        }
        let [first, second, third] = &lines;
        let samples = first.iter().zip(second).zip(third);
        for (pixel, ((first, second), third)) in row.chunks_exact_mut(bytes).zip(samples) {
            for (value, [of_first, of_second, of_third]) in pixel.iter_mut().zip(matrix) {
                *value = byte(of_first * first + of_second * second + of_third * third);
            }
        }
    }
}

/// Writes the opacity of each pixel, of four bytes and `width` to a line.
pub(super) fn cover(alpha: &Picture, is_premultiplied: bool, pixels: &mut [u8], width: usize) {
    let is_full = alpha.color_range() == YUVRange::Full;
    let channel = Channel::new(alpha, PlanarImageComponent::Y, is_full, false);
    let mut line = vec![0.0; width];
    for (number, row) in pixels.chunks_exact_mut(width * 4).enumerate() {
        channel.read(number, &mut line);
        for (pixel, opacity) in row.chunks_exact_mut(4).zip(&line) {
            pixel[3] = byte(*opacity);
            if is_premultiplied && pixel[3] > 0 {
                for value in &mut pixel[..3] {
                    *value = byte(f32::from(*value) / 255.0 / opacity);
                }
            }
        }
    }
}

/// Of a kind that is not known they are those of BT.601, as other readers have it.
fn weights(matrix: u16) -> Matrix {
    let (red, blue) = match matrix {
        IDENTITY => return [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        YCGCO => return [[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]],
        BT_709 => (0.2126, 0.0722),
        FCC => (0.30, 0.11),
        SMPTE_240M => (0.212, 0.087),
        matrix if BT_2020.contains(&matrix) => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    let green = 1.0 - red - blue;
    let (of_red, of_blue) = (2.0 * (1.0 - red), 2.0 * (1.0 - blue));
    [
        [1.0, 0.0, of_red],
        [1.0, -of_blue * blue / green, -of_red * red / green],
        [1.0, of_blue, 0.0],
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and 255"
)]
fn byte(part: f32) -> u8 {
    (part * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}
