//! The inverse transform of a block (T.81, A.3.3), at once with the mean of each 1, 2, 4 or 8 pixels in both directions.

use wide::{f32x4, i16x8, i32x4, i32x8, u8x16};

use super::block::{AREA, Block};

/// Pixels of a block, in either direction.
pub(super) const EDGE: u32 = 8;

const LINES: usize = 8;
const _: () = assert!(LINES == EDGE as usize && LINES * LINES == AREA);

/// cos(n pi / 16).
const COSINES: [f32; 9] =
    [1.0, 0.980_785_3, 0.923_879_5, 0.831_469_6, 0.707_106_77, 0.555_570_24, 0.382_683_43, 0.195_090_32, 0.0];

const fn cosine(n: usize) -> f32 {
    match n % 32 {
        n @ 0..=8 => COSINES[n],
        n @ 9..=16 => -COSINES[16 - n],
        n @ 17..=24 => -COSINES[n - 16],
        n => COSINES[32 - n],
    }
}

/// How much each coefficient of a line gives to each of so many pixels that are made of its eight.
#[expect(clippy::cast_precision_loss, reason = "eight at most")]
const fn weights<const N: usize>() -> [[f32; N]; LINES] {
    let mut weights = [[0.0; N]; LINES];
    let merged = LINES / N;
    let mut frequency = 0;
    while frequency < LINES {
        // 1/2, and for the mean 1/2 / sqrt(2).
        let scale = if frequency == 0 { 0.5 * COSINES[4] } else { 0.5 };
        let mut pixel = 0;
        while pixel < LINES {
            weights[frequency][pixel / merged] += scale * cosine((2 * pixel + 1) * frequency) / merged as f32;
            pixel += 1;
        }
        frequency += 1;
    }
    weights
}

/// What is left of a weight that is zero but for rounding.
const NOTHING: f32 = 1e-6;

struct Weights<const N: usize>;

impl<const N: usize> Weights<N> {
    const BY_FREQUENCY: [[f32; N]; LINES] = weights::<N>();
}

/// The middle of what a byte tells, as a coefficient.
const MIDDLE: f32 = 128.0 * SIDE;

/// What the first coefficient is more than the mean.
const SIDE: f32 = 8.0;

/// Numbers that are calculated with at once.
const LANES: usize = 4;

/// The first coefficient, in the order of the file, that is not one of the first four of the first four lines.
const ROUGH: usize = 10;

/// The block in so many lines of as many pixels.
#[inline]
pub(super) fn pixels<const N: usize>(block: &Block) -> [[u8; N]; N] {
    match block.last {
        0 => {
            let mean = (block.coefficients[0] + MIDDLE) / SIDE;
            let [[byte, ..], ..] = bytes([f32x4::splat(mean); LANES]);
            [[byte; N]; N]
        }
        1..ROUGH => transformed::<N, LANES>(block),
        _ => transformed::<N, LINES>(block),
    }
}

/// The block, of which no more than the first coefficients of as many lines are there.
#[inline]
fn transformed<const N: usize, const F: usize>(block: &Block) -> [[u8; N]; N] {
    let (quads, _) = block.coefficients.as_chunks::<LANES>();
    let mut halves: [[f32x4; F]; 2] =
        std::array::from_fn(|half| std::array::from_fn(|line| f32x4::new(quads[2 * line + half])));
    halves[0][0] += f32x4::new([MIDDLE, 0.0, 0.0, 0.0]);
    let halves = [merged::<N, F>(&halves[0]), merged::<N, F>(&halves[1])];
    let mut pixels = [[0; N]; N];
    for top in (0..N).step_by(LANES) {
        let squares = [square(&halves[0], top), square(&halves[1], top)];
        let columns = merged::<N, F>(&std::array::from_fn(|x| squares[x / LANES][x % LANES]));
        for left in (0..N).step_by(LANES) {
            let lines = bytes(square(&columns, left));
            for (into, line) in pixels[top..].iter_mut().zip(lines) {
                for (into, byte) in into[left..].iter_mut().zip(line) {
                    *into = byte;
                }
            }
        }
    }
    pixels
}

/// Transforms columns of coefficients, each into so many pixels. Those of one half are, but for a sign, made of the same as
/// those of the other.
#[inline]
fn merged<const N: usize, const F: usize>(lines: &[f32x4; F]) -> [f32x4; N] {
    let weights = &Weights::<N>::BY_FREQUENCY;
    let mut pixels = [f32x4::ZERO; N];
    for pixel in 0..N.div_ceil(2) {
        let mut sums = [f32x4::ZERO; 2];
        for (frequency, (line, weights)) in lines.iter().zip(weights).enumerate() {
            if weights[pixel].abs() > NOTHING {
                sums[frequency % 2] += *line * f32x4::splat(weights[pixel]);
            }
        }
        let [even, odd] = sums;
        pixels[N - 1 - pixel] = even - odd;
        pixels[pixel] = even + odd;
    }
    pixels
}

/// From this line on, with columns for lines; zeros where there are no more lines.
#[inline]
fn square<const N: usize>(lines: &[f32x4; N], first: usize) -> [f32x4; LANES] {
    f32x4::transpose(std::array::from_fn(|line| lines.get(first + line).copied().unwrap_or_default()))
}

/// The next whole numbers, between 0 and 255.
#[inline]
fn bytes(lines: [f32x4; LANES]) -> [[u8; LANES]; LANES] {
    let [a, b, c, d] = lines.map(f32x4::fast_round_int);
    let narrow = |first: i32x4, last: i32x4| {
        let mut both = [0; 2 * LANES];
        both[..LANES].copy_from_slice(first.as_array());
        both[LANES..].copy_from_slice(last.as_array());
        i16x8::from_i32x8_saturate(i32x8::new(both))
    };
    let bytes = u8x16::narrow_i16x8(narrow(a, b), narrow(c, d)).to_array();
    let (lines, _) = bytes.as_chunks::<LANES>();
    std::array::from_fn(|line| lines[line])
}
