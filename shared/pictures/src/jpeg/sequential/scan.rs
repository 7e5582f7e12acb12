//! The blocks of a scan, in the order in which those of all components stand in it (T.81, A.2), to the lines of the planes.

use super::Irregular;
use super::bits::Bits;
use super::block::{self, Block};
use super::frame::{Component, MAX_BLOCKS};
use super::transform::pixels;
use crate::strips::length;

/// The most components that a frame has here.
const COMPONENTS: usize = 3;

/// A scan that is read up to somewhere.
pub(super) struct Scan<'a> {
    bits: Bits<'a>,
    /// Units between two restarts; 0 for none of them.
    interval: u32,
    /// Units before the next one, and how many there were.
    left: u32,
    restarts: u8,
    /// The mean of each component's last block.
    means: [i16; COMPONENTS],
    /// Those of one unit.
    blocks: [Block; MAX_BLOCKS],
}

/// Lines of a plane that are to be filled.
pub(super) struct Lines<'a> {
    component: &'a Component,
    /// Pixels of a block, in either direction.
    edge: usize,
    /// Pixels of a line.
    width: usize,
    /// Pixels of the current lines that are there.
    filled: usize,
    /// From the current lines on.
    rest: &'a mut [u8],
}

impl<'a> Scan<'a> {
    pub(super) fn new(bits: Bits<'a>, interval: u32) -> Self {
        let blocks = std::array::from_fn(|_| Block::default());
        Self { bits, interval, left: interval, restarts: 0, means: [0; COMPONENTS], blocks }
    }

    /// Reads one line of so many units, each with some blocks of every component.
    pub(super) fn read_line(&mut self, units: u32, planes: &mut [Lines<'_>]) -> Result<(), Irregular> {
        for _ in 0..units {
            if self.interval > 0 {
                self.count_unit()?;
            }
            let mut free = self.blocks.iter_mut();
            for (Lines { component, .. }, mean) in planes.iter().zip(&mut self.means) {
                for block in free.by_ref().take(component.count()) {
                    block::read(block, &mut self.bits, component, mean)?;
                }
            }
            let mut blocks = self.blocks.iter();
            for lines in &mut *planes {
                lines.put_unit(&mut blocks);
            }
        }
        if self.bits.ran_over() {
            return Err(Irregular);
        }
        planes.iter_mut().for_each(Lines::advance);
        Ok(())
    }

    fn count_unit(&mut self) -> Result<(), Irregular> {
        if self.left == 0 {
            self.bits.restart(self.restarts)?;
            self.restarts = self.restarts.wrapping_add(1);
            self.left = self.interval;
            self.means = [0; COMPONENTS];
        }
        self.left -= 1;
        Ok(())
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(component: &'a Component, edge: usize, width: usize, rest: &'a mut [u8]) -> Self {
        Self { component, edge, width, filled: 0, rest }
    }

    /// Puts the blocks of a unit side by side, and below each other.
    fn put_unit<'b>(&mut self, blocks: &mut impl Iterator<Item = &'b Block>) {
        match self.edge {
            1 => self.put_blocks::<1>(blocks),
            2 => self.put_blocks::<2>(blocks),
            4 => self.put_blocks::<4>(blocks),
            _ => self.put_blocks::<8>(blocks),
        }
    }

    fn put_blocks<'b, const N: usize>(&mut self, blocks: &mut impl Iterator<Item = &'b Block>) {
        let (across, down) = self.component.blocks;
        let (mut top, left) = (0, self.filled);
        for _ in 0..down {
            for (place, block) in blocks.by_ref().take(length(across)).enumerate() {
                let left = left + place * N;
                self.put::<N>(top + left, left, pixels(block));
            }
            top += N * self.width;
        }
        self.filled += N * length(across);
    }

    /// Puts a block where it belongs, as far as the picture goes.
    #[inline]
    fn put<const N: usize>(&mut self, start: usize, left: usize, block: [[u8; N]; N]) {
        if left + N > self.width {
            return self.put_clipped(start, left, &block);
        }
        let mut start = start;
        for pixels in &block {
            if let Some(line) = self.rest.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
                *line = *pixels;
            }
            start += self.width;
        }
    }

    #[cold]
    fn put_clipped<const N: usize>(&mut self, mut start: usize, left: usize, block: &[[u8; N]; N]) {
        let length = self.width.saturating_sub(left);
        for pixels in block {
            if let Some(line) = self.rest.get_mut(start..start + length) {
                line.copy_from_slice(&pixels[..length]);
            }
            start += self.width;
        }
    }

    /// Goes on below what was filled.
    fn advance(&mut self) {
        let area = length(self.component.blocks.1) * self.edge * self.width;
        let rest = std::mem::take(&mut self.rest);
        self.rest = rest.split_at_mut_checked(area).map_or(&mut [], |(_, rest)| rest);
        self.filled = 0;
    }
}
