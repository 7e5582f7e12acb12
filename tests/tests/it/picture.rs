//! Photographs as cameras make them.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

const RED: Rgb<u8> = Rgb([255, 0, 0]);
const GREEN: Rgb<u8> = Rgb([0, 255, 0]);
const BLUE: Rgb<u8> = Rgb([0, 0, 255]);
const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

/// The colours of the quarters as stored: red and green above blue and white.
fn sensor(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        match (x < width / 2, y < height / 2) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => WHITE,
        }
    })
}

/// Returns a JPEG of this size.
pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    sensor(width, height)
        .write_to(&mut bytes, ImageFormat::Jpeg)
        .expect("encodes");
    bytes.into_inner()
}

/// Returns a JPEG of a camera that was held upright (EXIF orientation 6). It is shown `height` wide
/// and `width` high, with the corners [`UPRIGHT`].
pub(crate) fn turned_jpeg(width: u32, height: u32) -> Vec<u8> {
    let jpeg = jpeg(width, height);
    // An APP1 segment with only the orientation, after the first marker.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    [&jpeg[..2], &exif[..], &jpeg[2..]].concat()
}

/// The place where [`photograph`] was taken.
pub(crate) const PLACE: &[u8; 24] = b"SECRET-51-30-26-NORTHERN";

/// Returns such a JPEG with all EXIF data of a camera: its maker, the orientation, time and place.
pub(crate) fn photograph(width: u32, height: u32) -> Vec<u8> {
    let jpeg = jpeg(width, height);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x04".to_vec();
    // The maker, the orientation, and the offsets of the directories of the camera and of the
    // place.
    exif.extend(b"\x01\x0f\0\x02\0\0\0\x0d\0\0\0\x3e\x01\x12\0\x03\0\0\0\x01\0\x06\0\0");
    exif.extend(b"\x87\x69\0\x04\0\0\0\x01\0\0\0\x4c\x88\x25\0\x04\0\0\0\x01\0\0\0\x72\0\0\0\0");
    exif.extend(b"SECRET-MAKER\0\0");
    exif.extend(b"\0\x01\x90\x03\0\x02\0\0\0\x14\0\0\0\x5e\0\0\0\0");
    exif.extend(b"2024:05:01 12:33:00\0");
    exif.extend(b"\0\x02\0\x01\0\x02\0\0\0\x02N\0\0\0\0\x02\0\x05\0\0\0\x03\0\0\0\x90\0\0\0\0");
    exif.extend(PLACE);
    let length = u16::try_from(exif.len() + 2).expect("short");
    [
        &jpeg[..2],
        &b"\xff\xe1"[..],
        &length.to_be_bytes(),
        &exif,
        &jpeg[2..],
    ]
    .concat()
}

pub(crate) const UPRIGHT: &str = "BRWG";

/// Returns the size of an image and the colours of its corners: top left, top right, bottom left,
/// bottom right.
pub(crate) fn look(bytes: &[u8]) -> ((u32, u32), String) {
    let picture = image::load_from_memory(bytes)
        .expect("a picture")
        .into_rgb8();
    let (right, below) = (picture.width() - 4, picture.height() - 4);
    let corners = [(3, 3), (right, 3), (3, below), (right, below)];
    (
        picture.dimensions(),
        corners
            .map(|(x, y)| name(*picture.get_pixel(x, y)))
            .iter()
            .collect(),
    )
}

fn name(pixel: Rgb<u8>) -> char {
    match pixel.0.map(|channel| channel > 128) {
        [true, false, false] => 'R',
        [false, true, false] => 'G',
        [false, false, true] => 'B',
        [true, true, true] => 'W',
        _ => '?',
    }
}
