//! Conversion of the decoder's planes to RGB and alpha of 8 bits (ITU-T H.273, section 8.3).

use re_rav1d::dav1d::pixel::YUVRange;
use re_rav1d::dav1d::{Picture, PixelLayout, PlanarImageComponent, Plane};

use super::container::CodePoints;

/// Weights of the three planes for red, green and blue.
type Matrix = [[f32; 3]; 3];

/// Numbers of matrix coefficients.
const IDENTITY: u16 = 0;
const BT_709: u16 = 1;
const FCC: u16 = 4;
const SMPTE_240M: u16 = 7;
const YCGCO: u16 = 8;
const BT_2020: [u16; 2] = [9, 10];

/// One plane, read line by line at the picture's resolution.
struct Channel {
    plane: Plane,
    /// Bytes of a line.
    stride: usize,
    /// Whether a sample has two bytes.
    is_deep: bool,
    /// Number of bits by which width and height are shifted to the plane's size.
    shifts: (u8, u8),
    /// The sample value that means 0.
    zero: f32,
    /// The difference from `zero` to the sample value that means 1.
    span: f32,
}

impl Channel {
    /// `is_signed` means that samples range from -1/2 to 1/2 instead of 0 to 1.
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
        let stride =
            usize::try_from(picture.stride(component)).expect("the picture fits into memory");
        Self {
            plane: picture.plane(component),
            stride,
            is_deep: bits > 8,
            shifts,
            zero,
            span,
        }
    }

    /// Reads a line of the picture.
    fn read(&self, number: usize, line: &mut [f32]) {
        let samples = &self.plane[(number >> self.shifts.1) * self.stride..];
        for (x, value) in line.iter_mut().enumerate() {
            let x = x >> self.shifts.0;
            let sample = if self.is_deep {
                u16::from_ne_bytes([samples[2 * x], samples[2 * x + 1]])
            } else {
                samples[x].into()
            };
            *value = (f32::from(sample) - self.zero) / self.span;
        }
    }
}

/// Writes red, green and blue of each pixel, with `width` pixels per line and `bytes` bytes per
/// pixel.
pub(super) fn write_colours(
    picture: &Picture,
    code_points: Option<CodePoints>,
    pixels: &mut [u8],
    width: usize,
    bytes: usize,
) {
    // The container overrides the AV1 data.
    let (matrix, is_full) = code_points.map_or_else(
        || {
            (
                picture.matrix_coefficients() as u16,
                picture.color_range() == YUVRange::Full,
            )
        },
        |code_points| (code_points.matrix, code_points.is_full_range),
    );
    let is_grey = picture.pixel_layout() == PixelLayout::I400;
    // With the identity matrix each plane is a colour, which has no negative values.
    let is_signed = matrix != IDENTITY;
    let matrix = matrix_weights(if is_grey { BT_709 } else { matrix });
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

/// Writes the alpha of each pixel, with `width` pixels per line and four bytes per pixel.
pub(super) fn write_alpha(
    alpha: &Picture,
    is_premultiplied: bool,
    pixels: &mut [u8],
    width: usize,
) {
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

/// Returns the weights of a matrix. Unknown matrices are treated as BT.601, as other readers do.
fn matrix_weights(matrix: u16) -> Matrix {
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
    reason = "between 0 and 255"
)]
fn byte(part: f32) -> u8 {
    (part * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}
