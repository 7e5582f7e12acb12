//! TIFF 6.0 files in big-endian order.

use super::quarters::{HEIGHT, Quarters, WIDTH, big_endian, deflated, pack, row};

pub(super) const WHITE_IS_ZERO: u16 = 0;
pub(super) const BLACK_IS_ZERO: u16 = 1;
pub(super) const COLOUR: u16 = 2;
pub(super) const INDEXED: u16 = 3;
pub(super) const INKS: u16 = 5;

const COMPRESSION: u16 = 259;
const FILL_ORDER: u16 = 266;
const STRIPS: u16 = 273;
const ORIENTATION: u16 = 274;
const STRIP_SIZES: u16 = 279;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const COLOUR_MAP: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILES: u16 = 324;
const TILE_SIZES: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const ICC_PROFILE: u16 = 34_675;

/// The width and height of a tile in pixels.
const TILE: usize = 16;

pub(super) struct Tiff {
    /// Tags and their values of type SHORT.
    fields: Vec<(u16, Vec<u16>)>,
    /// Strips or tiles.
    chunks: Vec<Vec<u8>>,
    profile: Vec<u8>,
}

/// A file of one strip.
pub(super) fn tiff(interpretation: u16, bits: u16, quarters: Quarters) -> Tiff {
    let samples = quarters[0].len();
    let pixels = (0..HEIGHT)
        .flat_map(|y| pack(row(&quarters, y), bits.into()))
        .collect();
    let mut fields = vec![
        (256, vec![short(WIDTH)]),
        (257, vec![short(HEIGHT)]),
        (258, vec![bits; samples]),
        (262, vec![interpretation]),
        (277, vec![short(samples)]),
    ];
    if interpretation == INDEXED {
        let mut map = Vec::new();
        for channel in 0..3 {
            map.extend(super::quarters::PALETTE.map(|colour| u16::from(colour[channel]) * 257));
            map.resize((channel + 1) << bits, 0);
        }
        fields.push((COLOUR_MAP, map));
    }
    Tiff {
        fields,
        chunks: vec![pixels],
        profile: Vec::new(),
    }
}

fn short(number: usize) -> u16 {
    u16::try_from(number).expect("short")
}

impl Tiff {
    fn with(mut self, tag: u16, value: u16) -> Self {
        self.fields.push((tag, vec![value]));
        self
    }

    pub(super) fn turned(self, orientation: u16) -> Self {
        self.with(ORIENTATION, orientation)
    }

    /// Adds an extra sample: 0 is unspecified, 1 is associated alpha, 2 is unassociated alpha.
    pub(super) fn with_extra(self, meaning: u16) -> Self {
        self.with(EXTRA_SAMPLES, meaning)
    }

    pub(super) fn with_profile(mut self, icc: &[u8]) -> Self {
        self.profile = icc.to_vec();
        self
    }

    /// Stores the least significant bit of each byte first.
    pub(super) fn reversed(mut self) -> Self {
        self.chunks
            .iter_mut()
            .flatten()
            .for_each(|byte| *byte = byte.reverse_bits());
        self.with(FILL_ORDER, 2)
    }

    /// Stores differences from the left neighbour, for samples of eight or sixteen bits.
    pub(super) fn predicted(mut self) -> Self {
        let (bytes, samples) = (self.sample_bytes(), self.samples());
        for chunk in &mut self.chunks {
            for row in chunk.chunks_exact_mut(WIDTH * samples * bytes) {
                for place in (samples..WIDTH * samples).rev() {
                    let sample = |row: &[u8], place: usize| {
                        let from = &row[place * bytes..(place + 1) * bytes];
                        from.iter()
                            .fold(0_u16, |number, byte| number << 8 | u16::from(*byte))
                    };
                    let difference = sample(row, place).wrapping_sub(sample(row, place - samples));
                    let difference = difference.to_be_bytes();
                    row[place * bytes..(place + 1) * bytes]
                        .copy_from_slice(&difference[2 - bytes..]);
                }
            }
        }
        self.with(PREDICTOR, 2).deflated()
    }

    pub(super) fn deflated(mut self) -> Self {
        self.chunks
            .iter_mut()
            .for_each(|chunk| *chunk = deflated(chunk));
        self.with(COMPRESSION, 8)
    }

    /// Stores a strip for each channel.
    pub(super) fn planar(mut self) -> Self {
        let (bytes, samples) = (self.sample_bytes(), self.samples());
        let pixels = self.chunks.concat();
        let plane = |channel: usize| {
            let pixels = pixels.chunks_exact(samples * bytes);
            pixels
                .flat_map(|pixel| pixel[channel * bytes..(channel + 1) * bytes].to_vec())
                .collect()
        };
        self.chunks = (0..samples).map(plane).collect();
        self.with(PLANAR, 2)
    }

    /// Stores the tiles of each plane in place of its strip.
    pub(super) fn tiled(mut self) -> Self {
        let planes = std::mem::take(&mut self.chunks);
        for plane in planes {
            let pixel = plane.len() / WIDTH / HEIGHT;
            for left in (0..WIDTH).step_by(TILE) {
                let rows = plane.chunks_exact(WIDTH * pixel);
                self.chunks.push(
                    rows.flat_map(|row| row[left * pixel..][..TILE * pixel].to_vec())
                        .collect(),
                );
            }
        }
        self.with(TILE_WIDTH, short(TILE))
            .with(TILE_HEIGHT, short(TILE))
    }

    fn field(&self, tag: u16) -> &[u16] {
        self.fields
            .iter()
            .find(|(other, _)| *other == tag)
            .map_or(&[], |(_, values)| values)
    }

    fn samples(&self) -> usize {
        self.field(258).len()
    }

    fn sample_bytes(&self) -> usize {
        usize::from(self.field(258)[0] / 8)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"MM\0\x2a\0\0\0\0".to_vec();
        let mut places = Vec::new();
        for chunk in &self.chunks {
            places.extend(big_endian(bytes.len()));
            bytes.extend(chunk);
        }
        let sizes: Vec<u8> = self
            .chunks
            .iter()
            .flat_map(|chunk| big_endian(chunk.len()))
            .collect();
        let (at, length) = if self.field(TILE_WIDTH).is_empty() {
            (STRIPS, STRIP_SIZES)
        } else {
            (TILES, TILE_SIZES)
        };
        // Tag, type, bytes of one value, values.
        let mut fields = vec![(at, 4, 4, places), (length, 4, 4, sizes)];
        let shorts = |values: &[u16]| {
            values
                .iter()
                .flat_map(|value| value.to_be_bytes())
                .collect()
        };
        fields.extend(
            self.fields
                .iter()
                .map(|(tag, values)| (*tag, 3, 2, shorts(values))),
        );
        if !self.profile.is_empty() {
            fields.push((ICC_PROFILE, 7, 1, self.profile.clone()));
        }
        fields.sort();
        let mut directory = short(fields.len()).to_be_bytes().to_vec();
        for (tag, kind, width, mut value) in fields {
            directory.extend(tag.to_be_bytes());
            directory.extend([0, kind]);
            directory.extend(big_endian(value.len() / width));
            if value.len() > 4 {
                bytes.resize(bytes.len().next_multiple_of(2), 0);
                let place = big_endian(bytes.len());
                bytes.extend(value);
                value = place.to_vec();
            }
            value.resize(4, 0);
            directory.extend(value);
        }
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        let begin = big_endian(bytes.len());
        bytes[4..8].copy_from_slice(&begin);
        bytes.extend(directory);
        bytes.extend([0; 4]);
        bytes
    }
}
