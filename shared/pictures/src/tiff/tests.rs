//! Pictures of 2 x 2 pixels, written by the rules of TIFF 6.0, and the pixels that they mean.

use super::*;
use crate::cmyk::tests::{HALF, grey_cyan};

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const INTERPRETATION: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIPS: u16 = 273;
const SAMPLES: u16 = 277;
const ROWS: u16 = 278;
const SIZES: u16 = 279;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const PALETTE: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILES: u16 = 324;
const TILE_SIZES: u16 = 325;
const EXTRA: u16 = 338;
const FORMAT: u16 = 339;
const PROFILE: u16 = 34675;

/// A file in little-endian order with these strips or tiles, and fields of 16-bit numbers.
struct File {
    fields: Vec<(u16, Vec<u16>)>,
    chunks: Vec<Vec<u8>>,
    profile: Vec<u8>,
    lists_tiles_as_strips: bool,
}

impl File {
    fn new(interpretation: u16, bits: &[u16], pixels: &[u8]) -> Self {
        let samples = u16::try_from(bits.len()).expect("few");
        let fields = vec![
            (WIDTH, vec![2]),
            (HEIGHT, vec![2]),
            (BITS, bits.to_vec()),
            (INTERPRETATION, vec![interpretation]),
            (SAMPLES, vec![samples]),
        ];
        Self {
            fields,
            chunks: vec![pixels.to_vec()],
            profile: Vec::new(),
            lists_tiles_as_strips: false,
        }
    }

    fn with(mut self, tag: u16, values: &[u16]) -> Self {
        self.fields.retain(|(other, _)| *other != tag);
        self.fields.push((tag, values.to_vec()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let long = |number: usize| u32::try_from(number).expect("short").to_le_bytes();
        let mut bytes = b"II\x2a\0\0\0\0\0".to_vec();
        let offsets: Vec<u8> = self
            .chunks
            .iter()
            .flat_map(|chunk| {
                let offset = long(bytes.len());
                bytes.extend(chunk);
                offset
            })
            .collect();
        let sizes: Vec<u8> = self
            .chunks
            .iter()
            .flat_map(|chunk| long(chunk.len()))
            .collect();
        let is_tiled =
            !self.lists_tiles_as_strips && self.fields.iter().any(|(tag, _)| *tag == TILE_WIDTH);
        let (at, length) = if is_tiled {
            (TILES, TILE_SIZES)
        } else {
            (STRIPS, SIZES)
        };
        let shorts = |values: &[u16]| {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let mut fields: Vec<(u16, u8, usize, Vec<u8>)> =
            vec![(at, 4, 4, offsets), (length, 4, 4, sizes)];
        fields.extend(
            self.fields
                .iter()
                .map(|(tag, values)| (*tag, 3, 2, shorts(values))),
        );
        if !self.profile.is_empty() {
            fields.push((PROFILE, 7, 1, self.profile.clone()));
        }
        fields.sort();
        let mut directory = u16::try_from(fields.len())
            .expect("few")
            .to_le_bytes()
            .to_vec();
        for (tag, kind, width, mut value) in fields {
            directory.extend(tag.to_le_bytes());
            directory.extend([kind, 0]);
            directory.extend(long(value.len() / width));
            if value.len() > 4 {
                let offset = long(bytes.len());
                bytes.extend(value);
                value = offset.to_vec();
            }
            value.resize(4, 0);
            directory.extend(value);
        }
        let begin = long(bytes.len());
        bytes[4..8].copy_from_slice(&begin);
        bytes.extend(directory);
        bytes.extend([0; 4]);
        bytes
    }

    fn picture(&self) -> Result<DynamicImage, Unreadable> {
        Tiff::open(&self.bytes(), 1 << 20)?.decode()
    }

    fn pixels(&self) -> [[u8; 4]; 4] {
        let picture = self.picture().expect("decodes").to_rgba8();
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| picture.get_pixel(x, y).0)
    }

    /// Returns whether the pixels have these levels of grey.
    fn is_grey(&self, levels: [u8; 4]) -> bool {
        self.pixels() == levels.map(|level| [level, level, level, 255])
    }
}

/// Four colours, row by row from the top left.
const COLOURS: [[u8; 3]; 4] = [[255, 0, 10], [20, 200, 30], [40, 50, 240], [90, 80, 70]];

fn opaque() -> [[u8; 4]; 4] {
    COLOURS.map(|[red, green, blue]| [red, green, blue, 255])
}

/// Subtracts the left neighbour from each sample of a row (TIFF 6.0, section 14).
fn predicted(rows: &[u8], samples: usize) -> Vec<u8> {
    let row = |row: &[u8]| {
        let left = [vec![0; samples], row.to_vec()].concat();
        row.iter()
            .zip(left)
            .map(|(sample, left)| sample.wrapping_sub(left))
            .collect::<Vec<u8>>()
    };
    rows.chunks_exact(2 * samples).flat_map(row).collect()
}

/// Returns zlib's format (RFC 1950) with one stored block (RFC 1951, section 3.2.4).
fn deflated(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    let sum = (high << 16 | low).to_be_bytes();
    [
        &b"\x78\x01\x01"[..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        bytes,
        &sum,
    ]
    .concat()
}

/// Returns a file whose rows are predicted and compressed.
fn predicted_file(interpretation: u16, samples: usize, pixels: &[u8]) -> File {
    let file = File::new(
        interpretation,
        &vec![8; samples],
        &deflated(&predicted(pixels, samples)),
    );
    file.with(EXTRA, &[0])
        .with(COMPRESSION, &[8])
        .with(PREDICTOR, &[2])
}

#[test]
fn extra_samples_are_dropped_after_the_predictor() {
    let pixels: Vec<u8> = COLOURS
        .iter()
        .zip([7, 99, 180, 3])
        .flat_map(|(colour, extra)| [colour, &[extra][..]].concat())
        .collect();
    let plain = File::new(2, &[8; 4], &pixels).with(EXTRA, &[0]);
    assert_eq!(plain.pixels(), opaque());
    assert_eq!(predicted_file(2, 4, &pixels).pixels(), opaque());
    // Greyscale, and CMYK with a spot colour.
    assert!(predicted_file(1, 2, &[10, 1, 60, 2, 200, 3, 250, 4]).is_grey([10, 60, 200, 250]));
    assert_eq!(
        predicted_file(5, 5, &[255, 0, 0, 0, 9].repeat(4)).pixels(),
        [[0, 255, 255, 255]; 4]
    );
    // A compression without a predictor ignores the field.
    assert!(
        File::new(1, &[8], &[1, 2, 3, 4])
            .with(PREDICTOR, &[2])
            .is_grey([1, 2, 3, 4])
    );
}

#[test]
fn reversed_bits_are_read_at_every_depth() {
    let deep: Vec<u8> = [0x1234_u16, 0x8001, 0xfe7f, 0x0200]
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let reversed = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| byte.reverse_bits())
            .collect::<Vec<u8>>()
    };
    let file = File::new(1, &[16], &reversed(&deep)).with(FILL_ORDER, &[2]);
    let picture = file.picture().expect("decodes").into_luma16();
    assert_eq!(picture.as_raw(), &[0x1234, 0x8001, 0xfe7f, 0x0200]);
    assert!(
        File::new(1, &[8], &reversed(&[1, 2, 3, 200]))
            .with(FILL_ORDER, &[2])
            .is_grey([1, 2, 3, 200])
    );
    assert!(
        File::new(1, &[1], &reversed(&[0x80, 0x40]))
            .with(FILL_ORDER, &[2])
            .is_grey([255, 0, 0, 255])
    );
}

#[test]
fn only_an_associated_alpha_divides_the_colours() {
    let pixels = [
        [100, 50, 0, 128],
        [100, 50, 0, 255],
        [0, 0, 0, 0],
        [200, 9, 9, 100],
    ];
    let file = |extra: &[u16]| File::new(2, &[8; 4], pixels.as_flattened()).with(EXTRA, extra);
    // 100 * 255 / 128 is 199.2, 50 * 255 / 128 is 99.6, 9 * 255 / 100 is 22.95. Values above white
    // become white.
    let straight = [
        [199, 100, 0, 128],
        [100, 50, 0, 255],
        [0, 0, 0, 0],
        [255, 23, 23, 100],
    ];
    assert_eq!(file(&[1]).pixels(), straight);
    assert_eq!(file(&[2]).pixels(), pixels);
    assert_eq!(
        File::new(2, &[8; 4], pixels.as_flattened()).pixels(),
        pixels
    );
    assert_eq!(
        file(&[0]).pixels(),
        pixels.map(|[red, green, blue, _]| [red, green, blue, 255])
    );
    let deep: Vec<u8> = [[0x4000_u16, 0x8000]; 4]
        .iter()
        .flatten()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let picture = File::new(1, &[16; 2], &deep)
        .with(EXTRA, &[1])
        .picture()
        .expect("decodes");
    assert_eq!(
        picture.into_luma_alpha16().get_pixel(1, 1).0,
        [0x8000, 0x8000]
    );
}

#[test]
fn few_bits_palettes_and_planes_are_expanded() {
    assert!(File::new(1, &[2], &[0b0001_0000, 0b1011_0000]).is_grey([0, 85, 170, 255]));
    assert!(File::new(0, &[4], &[0x0f, 0x3c]).is_grey([255, 0, 204, 51]));
    for (bits, pixels) in [
        (2, vec![0b0001_0000, 0b1011_0000]),
        (4, vec![0x01, 0x23]),
        (8, vec![0, 1, 2, 3]),
    ] {
        for unit in [257, 1] {
            let mut palette = Vec::new();
            for channel in 0..3 {
                palette.extend(COLOURS.map(|colour| u16::from(colour[channel]) * unit));
                palette.resize((channel + 1) << bits, 0);
            }
            let file = File::new(3, &[bits], &pixels).with(PALETTE, &palette);
            assert_eq!(file.pixels(), opaque(), "{bits} {unit}");
        }
    }
    // Each plane in two strips, and in one tile that is larger than the picture.
    let plane = |channel: usize| COLOURS.map(|colour| colour[channel]);
    let mut file = File::new(2, &[8; 3], &[])
        .with(PLANAR, &[2])
        .with(ROWS, &[1]);
    file.chunks = (0..3)
        .flat_map(|channel| {
            plane(channel)
                .as_chunks::<2>()
                .0
                .iter()
                .map(|row| row.to_vec())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(file.pixels(), opaque());
    let mut file = File::new(2, &[8; 3], &[])
        .with(PLANAR, &[2])
        .with(TILE_WIDTH, &[16])
        .with(TILE_HEIGHT, &[16]);
    file.chunks = (0..3)
        .map(|channel| {
            let mut tile = vec![0; 256];
            for (row, pixels) in plane(channel).as_chunks::<2>().0.iter().enumerate() {
                tile[16 * row..16 * row + 2].copy_from_slice(pixels);
            }
            tile
        })
        .collect();
    assert_eq!(file.pixels(), opaque());
}

/// Two-dimensional coding: a row equal to an empty row above takes one bit (T.6, table 1).
const GROUP_4: u16 = 4;

#[test]
fn rows_missing_at_the_end_of_a_file_are_transparent() {
    let mut file = File::new(2, &[8; 3], &[]).with(ROWS, &[1]);
    file.chunks = COLOURS
        .as_chunks::<2>()
        .0
        .iter()
        .map(|row| row.as_flattened().to_vec())
        .collect();
    assert_eq!(file.pixels(), opaque());
    let offsets = [8_u32, 14].map(u32::to_le_bytes).concat();
    let mut cut = file.bytes();
    let at = cut
        .windows(8)
        .position(|eight| eight == offsets)
        .expect("the file has offsets of strips");
    let beyond = u32::try_from(cut.len() - 3).expect("short").to_le_bytes();
    cut[at + 4..at + 8].copy_from_slice(&beyond);
    let picture = Tiff::open(&cut, 1 << 20)
        .and_then(Tiff::decode)
        .expect("decodes")
        .to_rgba8();
    let [first, second, ..] = opaque();
    assert_eq!(
        [(0, 0), (1, 0)].map(|(x, y)| picture.get_pixel(x, y).0),
        [first, second]
    );
    assert_eq!(
        [(0, 1), (1, 1)].map(|(x, y)| picture.get_pixel(x, y).0[3]),
        [0, 0]
    );
    cut[at..at + 4].copy_from_slice(&beyond);
    assert_eq!(
        Tiff::open(&cut, 1 << 20).and_then(Tiff::decode).err(),
        Some(Unreadable::CutOff)
    );
}

#[test]
fn a_fax_truncated_within_a_strip_shows_its_first_rows() {
    let fax = File::new(0, &[1], &[0xff, 0xff])
        .with(COMPRESSION, &[GROUP_4])
        .with(HEIGHT, &[16]);
    let levels = |bytes: &[u8]| {
        let picture = Tiff::open(bytes, 1 << 20)
            .and_then(Tiff::decode)
            .expect("decodes")
            .to_rgba8();
        [0, 7, 8, 15].map(|y| picture.get_pixel(1, y).0)
    };
    assert_eq!(levels(&fax.bytes()), [[255; 4]; 4]);
    let mut cut = fax.bytes();
    let at = cut
        .windows(4)
        .rposition(|four| four == 8_u32.to_le_bytes())
        .expect("the file has an offset of the strip");
    cut.push(0xff);
    let last = u32::try_from(cut.len() - 1).expect("short").to_le_bytes();
    cut[at..at + 4].copy_from_slice(&last);
    assert_eq!(levels(&cut), [[255; 4], [255; 4], [0; 4], [0; 4]]);
    // Only an invalid code.
    let broken = File::new(0, &[1], &[0, 0]).with(COMPRESSION, &[GROUP_4]);
    assert_eq!(broken.picture().err(), Some(Unreadable::Damaged));
}

#[test]
fn cmyk_is_converted_by_its_profile() {
    for (bits, cyan) in [
        (8, vec![255, 0, 0, 0]),
        (16, vec![255, 255, 0, 0, 0, 0, 0, 0]),
    ] {
        let mut file = File::new(5, &[bits; 4], &cyan.repeat(4));
        assert_eq!(file.pixels(), [[0, 255, 255, 255]; 4]);
        file.profile = grey_cyan();
        for pixel in file.pixels() {
            assert!(
                pixel[..3].iter().all(|channel| channel.abs_diff(HALF) < 3),
                "{pixel:?}"
            );
        }
    }
}

#[test]
fn a_jpeg_within_a_page_is_converted_from_ycbcr() {
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    encoder.set_size(2, 2);
    encoder.set_quality(100.0);
    encoder.set_chroma_sampling_pixel_sizes((1, 1), (1, 1));
    let mut started = encoder.start_compress(Vec::new()).expect("starts");
    started
        .write_scanlines(&[200, 120, 80].repeat(4))
        .expect("encodes");
    let jpeg = started.finish().expect("encodes");
    for pixel in File::new(6, &[8; 3], &jpeg)
        .with(COMPRESSION, &[7])
        .pixels()
    {
        assert!(
            pixel
                .iter()
                .zip([200, 120, 80, 255])
                .all(|(one, other)| one.abs_diff(other) < 4),
            "{pixel:?}"
        );
    }
}

#[test]
fn unsupported_kinds_are_named_in_the_reason() {
    let grey = || File::new(1, &[8], &[0; 4]);
    let rgb = |interpretation| File::new(interpretation, &[8; 3], &[0; 12]);
    for (file, feature) in [
        (grey().with(COMPRESSION, &[3]), Feature::TiffSamples),
        (rgb(6).with(COMPRESSION, &[6]), Feature::OldJpegTiff),
        (grey().with(COMPRESSION, &[50000]), Feature::TiffCompression),
        (rgb(8), Feature::TiffColours),
        (rgb(6), Feature::TiffColours),
        (rgb(77), Feature::TiffColours),
        (grey().with(FORMAT, &[2]), Feature::TiffSamples),
        (File::new(1, &[12], &[0; 6]), Feature::TiffSamples),
        (File::new(1, &[64], &[0; 32]), Feature::TiffSamples),
        (File::new(2, &[5, 6, 5], &[0; 8]), Feature::TiffSamples),
        (
            File::new(1, &[4], &deflated(&[0; 2]))
                .with(COMPRESSION, &[8])
                .with(PREDICTOR, &[2]),
            Feature::TiffSamples,
        ),
    ] {
        assert_eq!(
            file.picture().err(),
            Some(Unreadable::Unsupported(feature)),
            "{:?}",
            file.fields
        );
    }
    let whole = rgb(2).bytes();
    for length in 0..whole.len() {
        assert!(
            Tiff::open(&whole[..length], 1 << 20)
                .and_then(Tiff::decode)
                .is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn the_first_page_of_a_circular_list_is_shown() {
    let mut bytes = File::new(2, &[8, 8, 8], COLOURS.as_flattened()).bytes();
    let begin: [u8; 4] = bytes[4..8].try_into().expect("four");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&begin);
    assert!(Tiff::open(&bytes, 1 << 20).and_then(Tiff::decode).is_ok());
}

#[test]
fn tiles_may_be_listed_as_strips() {
    let mut tile = vec![0; 16 * 16];
    tile[..2].copy_from_slice(&[0, 80]);
    tile[16..18].copy_from_slice(&[160, 255]);
    let mut file = File::new(1, &[8], &tile)
        .with(TILE_WIDTH, &[16])
        .with(TILE_HEIGHT, &[16]);
    assert!(file.is_grey([0, 80, 160, 255]));
    file.lists_tiles_as_strips = true;
    assert!(file.is_grey([0, 80, 160, 255]));
}

#[test]
fn a_single_strip_may_have_no_length() {
    let mut bytes = File::new(1, &[8], &[0, 80, 160, 255]).bytes();
    let field = bytes
        .windows(4)
        .position(|four| four == [0x17, 1, 4, 0])
        .expect("StripByteCounts");
    bytes[field + 8..field + 12].fill(0);
    let picture = Tiff::open(&bytes, 1 << 20)
        .and_then(Tiff::decode)
        .expect("decodes");
    assert_eq!(picture.to_luma8().into_raw(), [0, 80, 160, 255]);
}

#[test]
fn a_fax_may_have_several_strips_and_reversed_bits() {
    // T.4 codes: white 1, black 1; white 0, black 1, white 1.
    let rows = [
        vec![0b0001_1101, 0],
        vec![0b0011_0101, 0b0100_0011, 0b1000_0000],
    ];
    let mut file = File::new(0, &[1], &[])
        .with(COMPRESSION, &[2])
        .with(ROWS, &[1]);
    file.chunks = rows.to_vec();
    assert!(file.is_grey([255, 0, 0, 255]));
    file.chunks
        .iter_mut()
        .flatten()
        .for_each(|byte| *byte = byte.reverse_bits());
    assert!(file.with(FILL_ORDER, &[2]).is_grey([255, 0, 0, 255]));
}

#[test]
fn an_embedded_lossless_jpeg_is_named_in_the_reason() {
    // SOI, and a frame header of the lossless process (T.81, table B.1).
    let jpeg =
        b"\xff\xd8\xff\xc3\0\x0b\x08\0\x02\0\x02\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\x01\0\0";
    let file = File::new(1, &[8], jpeg).with(COMPRESSION, &[7]);
    assert_eq!(
        file.picture().err(),
        Some(Unreadable::Unsupported(Feature::LosslessJpeg))
    );
}
