//! PNG files (W3C, third edition) with every colour type, depth and colour space chunk.

use super::quarters::{HEIGHT, Quarters, WIDTH, at, big_endian, deflated, pack};
use crate::hostile::crc;

/// The colour types (section 11.2.1).
pub(super) const GREY: u8 = 0;
pub(super) const COLOUR: u8 = 2;
pub(super) const INDEXED: u8 = 3;
pub(super) const GREY_ALPHA: u8 = 4;
pub(super) const COLOUR_ALPHA: u8 = 6;

/// The first column and row and the steps of each Adam7 pass (section 8.2).
const PASSES: [[usize; 4]; 7] = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
];

pub(super) struct Png {
    colour_type: u8,
    depth: u8,
    quarters: Quarters,
    is_interlaced: bool,
    before: Vec<u8>,
    after: Vec<u8>,
}

pub(super) fn png(colour_type: u8, depth: u8, quarters: Quarters) -> Png {
    Png {
        colour_type,
        depth,
        quarters,
        is_interlaced: false,
        before: Vec::new(),
        after: Vec::new(),
    }
}

impl Png {
    /// Adds a chunk before the pixels.
    pub(super) fn with(mut self, name: [u8; 4], data: &[u8]) -> Self {
        self.before.extend(chunk(name, data));
        self
    }

    /// Adds an ICC profile.
    pub(super) fn with_profile(self, icc: &[u8]) -> Self {
        let data = [b"icc\0\0", &deflated(icc)[..]].concat();
        self.with(*b"iCCP", &data)
    }

    pub(super) fn interlaced(mut self) -> Self {
        self.is_interlaced = true;
        self
    }

    /// Makes it the first of two frames. The second one has other colours.
    pub(super) fn animated(mut self, other: Quarters) -> Self {
        let control = |sequence: usize| {
            let size = [big_endian(WIDTH), big_endian(HEIGHT)].concat();
            [
                &big_endian(sequence),
                &size[..],
                &[0; 8],
                &[0, 1, 0, 10, 0, 0],
            ]
            .concat()
        };
        self.before
            .extend(chunk(*b"acTL", &[big_endian(2), big_endian(0)].concat()));
        self.before.extend(chunk(*b"fcTL", &control(0)));
        let pixels = png(self.colour_type, self.depth, other).pixels();
        self.after.extend(chunk(*b"fcTL", &control(1)));
        self.after
            .extend(chunk(*b"fdAT", &[&big_endian(2), &pixels[..]].concat()));
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut header = [big_endian(WIDTH), big_endian(HEIGHT)].concat();
        header.extend([
            self.depth,
            self.colour_type,
            0,
            0,
            u8::from(self.is_interlaced),
        ]);
        [
            b"\x89PNG\r\n\x1a\n",
            &chunk(*b"IHDR", &header)[..],
            &self.before,
            &chunk(*b"IDAT", &self.pixels()),
            &self.after,
            &chunk(*b"IEND", b""),
        ]
        .concat()
    }

    fn pixels(&self) -> Vec<u8> {
        let passes = if self.is_interlaced {
            &PASSES[..]
        } else {
            &[[0, 0, 1, 1]]
        };
        let mut rows = Vec::new();
        for [left, top, right, down] in passes {
            for y in (*top..HEIGHT).step_by(*down) {
                let samples = (*left..WIDTH)
                    .step_by(*right)
                    .flat_map(|x| at(&self.quarters, x, y));
                // No filter.
                rows.push(0);
                rows.extend(pack(samples.copied(), self.depth.into()));
            }
        }
        deflated(&rows)
    }
}

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let summed = [&name, data].concat();
    [
        &big_endian(data.len()),
        &summed[..],
        &crc(&summed).to_be_bytes(),
    ]
    .concat()
}
