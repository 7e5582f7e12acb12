//! GIF89a files with uncompressed pixels: the code table is cleared before codes get longer.

use super::quarters::{HEIGHT, INDICES, PALETTE, WIDTH, row};

const CODE_BITS: u32 = 9;
const CLEAR: u16 = 256;
const END: u16 = 257;
/// The number of codes between two clears. With more, codes would take ten bits.
const CODES: usize = 200;

/// The first row and the step of each of the four passes (appendix E).
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

/// The frames of a file.
#[derive(Default)]
pub(super) struct Gif {
    pub(super) is_interlaced: bool,
    /// The transparent entry of the palette.
    pub(super) clear: Option<u8>,
    /// The first frame covers the right half only.
    pub(super) is_half: bool,
    /// A white second frame follows.
    pub(super) is_animated: bool,
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).expect("short").to_le_bytes()
}

impl Gif {
    pub(super) fn bytes(&self) -> Vec<u8> {
        // A palette of 256 entries.
        let mut bytes = [b"GIF89a", &short(WIDTH)[..], &short(HEIGHT), &[0xf7, 0, 0]].concat();
        let mut palette = PALETTE.concat();
        palette.resize(768, 0);
        bytes.extend(palette);
        let left = if self.is_half { WIDTH / 2 } else { 0 };
        let order: Vec<usize> = if self.is_interlaced {
            PASSES
                .iter()
                .flat_map(|(first, step)| (*first..HEIGHT).step_by(*step))
                .collect()
        } else {
            (0..HEIGHT).collect()
        };
        let pixels: Vec<u16> = order
            .iter()
            .flat_map(|y| row(&INDICES, *y).split_off(left))
            .collect();
        bytes.extend(self.frame(left, &pixels));
        if self.is_animated {
            bytes.extend(self.frame(0, &[3; WIDTH * HEIGHT]));
        }
        bytes.push(0x3b);
        bytes
    }

    fn frame(&self, left: usize, pixels: &[u16]) -> Vec<u8> {
        let is_clear = u8::from(self.clear.is_some());
        let mut bytes = vec![
            0x21,
            0xf9,
            4,
            is_clear,
            10,
            0,
            self.clear.unwrap_or(0),
            0,
            0x2c,
        ];
        bytes.extend([short(left), [0; 2], short(WIDTH - left), short(HEIGHT)].concat());
        bytes.extend([if self.is_interlaced { 0x40 } else { 0 }, 8]);
        let codes = pixels
            .chunks(CODES)
            .flat_map(|some| [&[CLEAR], some].concat())
            .chain([END]);
        for block in lowest_bit_first(codes).chunks(255) {
            bytes.push(u8::try_from(block.len()).expect("at most 255"));
            bytes.extend(block);
        }
        bytes.push(0);
        bytes
    }
}

fn lowest_bit_first(codes: impl Iterator<Item = u16>) -> Vec<u8> {
    let (mut bytes, mut pending, mut count) = (Vec::new(), 0_u32, 0);
    for code in codes {
        pending |= u32::from(code) << count;
        count += CODE_BITS;
        while count >= 8 {
            bytes.push(u8::try_from(pending & 0xff).expect("a byte"));
            pending >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        bytes.push(u8::try_from(pending & 0xff).expect("a byte"));
    }
    bytes
}
