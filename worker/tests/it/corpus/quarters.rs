//! The content of every image of the corpus: four quarters, each of one colour.

/// The size in pixels.
pub(super) const WIDTH: usize = 32;
pub(super) const HEIGHT: usize = 16;

/// The samples of a pixel in each quarter: top left, top right, bottom left, bottom right.
pub(super) type Quarters = [&'static [u16]; 4];

pub(super) const RGB: Quarters = [&[255, 0, 0], &[0, 255, 0], &[0, 0, 255], &[255, 255, 255]];
pub(super) const RGB_16: Quarters = [
    &[0xffff, 0, 0],
    &[0, 0xffff, 0],
    &[0, 0, 0xffff],
    &[0xffff, 0xffff, 0xffff],
];
/// The four entries of the palette.
pub(super) const INDICES: Quarters = [&[0], &[1], &[2], &[3]];
pub(super) const PALETTE: [[u8; 3]; 4] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];

/// Returns the samples of a pixel.
pub(super) fn at(quarters: &Quarters, x: usize, y: usize) -> &'static [u16] {
    quarters[2 * usize::from(y >= HEIGHT / 2) + usize::from(x >= WIDTH / 2)]
}

/// Returns the samples of a row.
pub(super) fn row(quarters: &Quarters, y: usize) -> Vec<u16> {
    (0..WIDTH)
        .flat_map(|x| at(quarters, x, y))
        .copied()
        .collect()
}

/// Packs samples of `bits` bits, most significant bit first, and pads the last byte with zeros.
pub(super) fn pack(samples: impl IntoIterator<Item = u16>, bits: u32) -> Vec<u8> {
    let (mut bytes, mut pending, mut count) = (Vec::new(), 0_u32, 0);
    for sample in samples {
        pending = pending << bits | u32::from(sample);
        count += bits;
        while count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(pending >> count & 0xff).expect("a byte"));
        }
        pending &= (1 << count) - 1;
    }
    if count > 0 {
        bytes.push(u8::try_from(pending << (8 - count)).expect("a byte"));
    }
    bytes
}

/// EXIF that contains only an orientation.
pub(super) fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

/// EXIF with the prefix that it has in a JPEG.
pub(super) fn prefixed(exif: Vec<u8>) -> Vec<u8> {
    [b"Exif\0\0".to_vec(), exif].concat()
}

pub(super) fn big_endian(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("short").to_be_bytes()
}

pub(super) fn little_endian(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("short").to_le_bytes()
}

/// The zlib format (RFC 1950) with one stored block (RFC 1951, section 3.2.4).
pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
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
