//! JPEG and WebP files with added metadata.

use super::quarters::{HEIGHT, WIDTH, little_endian};

/// A JPEG with an application segment (1 is APP1) after its first marker.
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

/// A JPEG with an ICC profile (ICC.1:2022, annex B.4) in a number of segments.
pub(super) fn jpeg_with_profile(file: &[u8], icc: &[u8], segments: usize) -> Vec<u8> {
    let count = u8::try_from(segments).expect("few");
    let parts = icc.chunks(icc.len().div_ceil(segments));
    // The last segment is inserted first, so that it comes after the others.
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

/// Flags of VP8X for the features of a file.
const ICC_PROFILE: u8 = 0x20;
const EXIF: u8 = 0x08;

/// A WebP of one image (RFC 9649, section 2.7), followed by EXIF.
pub(super) fn webp_with_exif(file: &[u8], exif: &[u8]) -> Vec<u8> {
    webp(EXIF, &[file[12..].to_vec(), chunk(*b"EXIF", exif)].concat())
}

/// A WebP of one image, preceded by an ICC profile.
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
