//! JPEG and WebP files with metadata put in.

use super::quarters::{HEIGHT, WIDTH, little_endian};

/// A JPEG with a segment of an application (APP1 is 1) behind its first marker.
pub(super) fn jpeg(file: &[u8], application: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).expect("short").to_be_bytes();
    [
        &file[..2],
        &[0xff, 0xe0 + application],
        &length,
        data,
        &file[2..],
    ]
    .concat()
}

/// A JPEG with an ICC profile (ICC.1:2022, annex B.4) in so many segments.
pub(super) fn jpeg_with_profile(file: &[u8], icc: &[u8], segments: usize) -> Vec<u8> {
    let count = u8::try_from(segments).expect("few");
    let parts = icc.chunks(icc.len().div_ceil(segments));
    // The last is put in first, so that it is behind the others.
    (1..=count)
        .zip(parts)
        .rev()
        .fold(file.to_vec(), |file, (number, part)| {
            jpeg(
                &file,
                2,
                &[b"ICC_PROFILE\0", &[number, count][..], part].concat(),
            )
        })
}

/// What VP8X says that a file has.
const ICC_PROFILE: u8 = 0x20;
const EXIF: u8 = 0x08;

/// A WebP of one picture (RFC 9649, section 2.7) with EXIF behind it.
pub(super) fn webp_with_exif(file: &[u8], exif: &[u8]) -> Vec<u8> {
    webp(EXIF, &[file[12..].to_vec(), chunk(*b"EXIF", exif)].concat())
}

/// The same with an ICC profile before it.
pub(super) fn webp_with_profile(file: &[u8], icc: &[u8]) -> Vec<u8> {
    webp(
        ICC_PROFILE,
        &[chunk(*b"ICCP", icc), file[12..].to_vec()].concat(),
    )
}

fn webp(features: u8, chunks: &[u8]) -> Vec<u8> {
    let size = |side: usize| little_endian(side - 1)[..3].to_vec();
    let header = chunk(
        *b"VP8X",
        &[vec![features, 0, 0, 0], size(WIDTH), size(HEIGHT)].concat(),
    );
    let body = [b"WEBP", &header[..], chunks].concat();
    [b"RIFF", &little_endian(body.len())[..], &body].concat()
}

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = [&name, &little_endian(data.len())[..], data].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}
