//! BMP files of Windows and OS/2.

use super::quarters::{
    HEIGHT, INDICES, PALETTE, Quarters, RGB, WIDTH, at, little_endian, pack, row,
};

/// Encodings of pixels (BITMAPINFOHEADER, biCompression).
const PLAIN: u8 = 0;
const RLE8: u8 = 1;
const RLE4: u8 = 2;
const BIT_FIELDS: u8 = 3;

const FILE_HEADER: usize = 14;

/// A file with BITMAPINFOHEADER, followed by masks or a palette.
fn file(bits: u8, compression: u8, height: i32, more: &[u8], pixels: &[u8]) -> Vec<u8> {
    with_header(40, bits, compression, height, more, pixels)
}

/// A file whose header begins like BITMAPINFOHEADER. `more` is the rest of the header and the data
/// before the pixels.
fn with_header(
    header: usize,
    bits: u8,
    compression: u8,
    height: i32,
    more: &[u8],
    pixels: &[u8],
) -> Vec<u8> {
    let width = u32::try_from(WIDTH).expect("short").to_le_bytes();
    let mut info = [
        &little_endian(header),
        &width[..],
        &height.to_le_bytes(),
        &[1, 0, bits, 0],
    ]
    .concat();
    info.extend([compression, 0, 0, 0]);
    info.extend([0; 20]);
    info.extend(more);
    with_file_header(&info, pixels)
}

fn with_file_header(info: &[u8], pixels: &[u8]) -> Vec<u8> {
    let begin = FILE_HEADER + info.len();
    let length = little_endian(begin + pixels.len());
    [
        b"BM",
        &length[..],
        &[0; 4],
        &little_endian(begin),
        info,
        pixels,
    ]
    .concat()
}

fn upwards() -> i32 {
    i32::try_from(HEIGHT).expect("short")
}

fn palette(entry: usize) -> Vec<u8> {
    let entries = PALETTE
        .iter()
        .flat_map(|[red, green, blue]| [*blue, *green, *red, 0][..entry].to_vec());
    entries.collect()
}

/// Rows padded to a multiple of four bytes, bottom row first.
fn bottom_up(row: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    (0..HEIGHT).rev().flat_map(row).collect()
}

/// Pixels that are indices of a palette of four colours, or of two colours if they have one bit.
pub(super) fn indexed(bits: u8) -> Vec<u8> {
    let (colours, quarters): (_, Quarters) = if bits == 1 {
        (2, [&[0], &[1], &[1], &[0]])
    } else {
        (4, INDICES)
    };
    let mut palette = palette(4);
    palette.resize(4 << bits, 0);
    palette[4 * colours..].fill(0);
    file(
        bits,
        PLAIN,
        upwards(),
        &palette,
        &bottom_up(|y| pack(row(&quarters, y), bits.into())),
    )
}

/// Runs of equal pixels.
pub(super) fn run_length(bits: u8) -> Vec<u8> {
    let half = u8::try_from(WIDTH / 2).expect("short");
    let code = |index: u16| {
        u8::try_from(if bits == 4 { index << 4 | index } else { index }).expect("small")
    };
    let row = |y| {
        let (left, right) = (at(&INDICES, 0, y)[0], at(&INDICES, WIDTH - 1, y)[0]);
        // The last two bytes end the row.
        vec![half, code(left), half, code(right), 0, 0]
    };
    let pixels = [bottom_up(row), vec![0, 1]].concat();
    let mut palette = palette(4);
    palette.resize(4 << bits, 0);
    file(
        bits,
        if bits == 4 { RLE4 } else { RLE8 },
        upwards(),
        &palette,
        &pixels,
    )
}

/// Sixteen bits with these masks of red, green and blue; without masks each has five bits.
pub(super) fn sixteen(masks: Option<[u32; 3]>) -> Vec<u8> {
    let [red, green, blue] = masks.unwrap_or([0x7c00, 0x03e0, 0x001f]);
    let row = |y| {
        let pixels = (0..WIDTH).flat_map(|x| {
            let samples = at(&RGB, x, y).iter().zip([red, green, blue]);
            let pixel = samples
                .map(|(sample, mask)| if *sample == 0 { 0 } else { mask })
                .sum::<u32>();
            u16::try_from(pixel)
                .expect("the masks are short")
                .to_le_bytes()
        });
        pixels.collect()
    };
    let (compression, masks) = masks.map_or((PLAIN, Vec::new()), |masks| {
        (BIT_FIELDS, masks.map(u32::to_le_bytes).concat())
    });
    file(16, compression, upwards(), &masks, &bottom_up(row))
}

fn blue_green_red(y: usize) -> Vec<u8> {
    (0..WIDTH)
        .flat_map(|x| {
            at(&RGB, x, y)
                .iter()
                .rev()
                .map(|sample| pack([*sample], 8)[0])
        })
        .collect()
}

pub(super) fn twenty_four() -> Vec<u8> {
    file(24, PLAIN, upwards(), &[], &bottom_up(blue_green_red))
}

/// Top row first.
pub(super) fn top_down() -> Vec<u8> {
    let pixels: Vec<u8> = (0..HEIGHT).flat_map(blue_green_red).collect();
    file(24, PLAIN, -upwards(), &[], &pixels)
}

/// OS/2's short header (BITMAPCOREHEADER) and a palette with three bytes per entry.
pub(super) fn os2() -> Vec<u8> {
    let size = [WIDTH, HEIGHT]
        .map(|side| u16::try_from(side).expect("short").to_le_bytes())
        .concat();
    let info = [
        &little_endian(12),
        &size[..],
        &[1, 0, 8, 0],
        &palette(3),
        &[0; 3 * 252],
    ]
    .concat();
    with_file_header(&info, &bottom_up(|y| pack(row(&INDICES, y), 8)))
}

/// Thirty-two bits, of which the last eight are unused.
pub(super) fn thirty_two() -> Vec<u8> {
    let row = |y| {
        blue_green_red(y)
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|bgr| [&bgr[..], &[0]].concat())
            .collect()
    };
    file(32, PLAIN, upwards(), &[], &bottom_up(row))
}

/// Thirty-two bits with a mask for alpha (BITMAPV4HEADER). The left half is half transparent.
pub(super) fn with_alpha() -> Vec<u8> {
    let row = |y| {
        let row = blue_green_red(y);
        let pixels = row.as_chunks::<3>().0.iter().enumerate();
        pixels
            .flat_map(|(x, bgr)| [&bgr[..], &[if x < WIDTH / 2 { 128 } else { 255 }]].concat())
            .collect()
    };
    let mut more = [0x00ff_0000_u32, 0xff00, 0xff, 0xff00_0000]
        .map(u32::to_le_bytes)
        .concat();
    // The colour space is that of the device.
    more.resize(68, 0);
    with_header(
        40 + more.len(),
        32,
        BIT_FIELDS,
        upwards(),
        &more,
        &bottom_up(row),
    )
}
