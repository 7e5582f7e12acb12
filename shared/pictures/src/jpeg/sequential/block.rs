//! The coefficients of a block of 8 by 8 (T.81, F.2.2).

use super::Irregular;
use super::bits::Bits;
use super::frame::Component;
use super::huffman::{AT_ONCE, END_OF_BLOCK};

/// Coefficients of a block.
pub(super) const AREA: usize = 64;

/// Where each coefficient of the file stands, line by line (T.81, figure A.6).
const ZIGZAG: [u8; AREA] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// So many coefficients that are looked up take no more bits than a refill brings.
const A_REFILL: u8 = 5;
const _: () = assert!(A_REFILL * AT_ONCE <= 56);

/// What the coefficients of a component are multiplied by, in the order of the file, and where each belongs.
pub(super) struct Quantiser([(f32, u8); AREA]);

impl Quantiser {
    /// Of a table in the order of the file.
    pub(super) fn new(table: &[u16; AREA]) -> Self {
        Self(std::array::from_fn(|place| (f32::from(table[place]), ZIGZAG[place])))
    }
}

/// The coefficients of a block, line by line.
pub(super) struct Block {
    pub(super) coefficients: [f32; AREA],
    /// The place in the file of the last one that is not zero.
    pub(super) last: usize,
}

impl Default for Block {
    fn default() -> Self {
        Self { coefficients: [0.0; AREA], last: 0 }
    }
}

/// Reads a block, whose mean is told as the difference to that of the component's last one.
pub(super) fn read(
    block: &mut Block,
    bits: &mut Bits<'_>,
    Component { quantiser, dc, ac, .. }: &Component,
    mean: &mut i16,
) -> Result<(), Irregular> {
    block.coefficients = [0.0; AREA];
    block.last = 0;
    bits.refill();
    let difference = match dc.short(bits) {
        Some(difference) => difference,
        None => dc.any(bits)?,
    };
    *mean = mean.wrapping_add(difference.value);
    block.coefficients[0] = quantiser.0[0].0 * f32::from(*mean);
    let mut next = 1;
    loop {
        bits.refill();
        for _ in 0..A_REFILL {
            let found = if let Some(found) = ac.short(bits) {
                found
            } else {
                bits.refill();
                let found = ac.any(bits)?;
                bits.refill();
                found
            };
            let place = next + usize::from(found.run);
            next = place + 1;
            if let Some((factor, at)) = quantiser.0.get(place) {
                block.coefficients[usize::from(*at) % AREA] = factor * f32::from(found.value);
                block.last = place;
                if next < AREA {
                    continue;
                }
            } else if place < END_OF_BLOCK.into() {
                return Err(Irregular);
            }
            return Ok(());
        }
    }
}
