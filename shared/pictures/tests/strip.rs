//! Stripping removes metadata and keeps pixels, in every container.

use std::io::Cursor;
use std::sync::LazyLock;

use image::codecs::gif::{GifDecoder, GifEncoder, Repeat};
use image::metadata::Orientation;
use image::{
    AnimationDecoder as _, DynamicImage, Frame, ImageDecoder as _, ImageFormat, ImageReader, Rgb,
    RgbImage,
};
use plinth_pictures::strip::strip;
use plinth_pictures::{Stripped, Unreadable};
use proptest::prelude::*;

/// Part of every piece of metadata in these files.
const SECRET: &[u8] = b"SECRET";
const LATITUDE: &[u8; 24] = b"SECRET-51-30-26-NORTHERN";

fn picture() -> RgbImage {
    RgbImage::from_fn(61, 33, |x, y| {
        Rgb([x, y, x * y].map(|n| u8::try_from(n % 256).expect("a byte")))
    })
}

fn encode(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture())
        .write_to(&mut bytes, format)
        .expect("encodes");
    bytes.into_inner()
}

/// Returns EXIF data like a camera's: the maker, the orientation, the time, and the location.
fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"MM\0\x2a\0\0\0\x08\0\x04".to_vec();
    bytes.extend(b"\x01\x0f\0\x02\0\0\0\x0d\0\0\0\x3e");
    bytes.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    bytes.extend(b"\x87\x69\0\x04\0\0\0\x01\0\0\0\x4c");
    bytes.extend(b"\x88\x25\0\x04\0\0\0\x01\0\0\0\x72\0\0\0\0");
    bytes.extend(b"SECRET-MAKER\0\0");
    bytes.extend(b"\0\x01\x90\x03\0\x02\0\0\0\x14\0\0\0\x5e\0\0\0\0");
    bytes.extend(b"2024:05:01 12:33:00\0");
    bytes.extend(b"\0\x02\0\x01\0\x02\0\0\0\x02N\0\0\0\0\x02\0\x05\0\0\0\x03\0\0\0\x90\0\0\0\0");
    bytes.extend(LATITUDE);
    bytes
}

fn segment(marker: u8, parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    let length = u16::try_from(payload.len() + 2).expect("short");
    [&[0xff, marker], &length.to_be_bytes()[..], &payload].concat()
}

fn jpeg() -> Vec<u8> {
    let plain = encode(ImageFormat::Jpeg);
    let mut bytes = plain[..2].to_vec();
    bytes.extend(segment(0xe1, &[b"Exif\0\0", &exif(6)]));
    bytes.extend(segment(
        0xe1,
        &[b"http://ns.adobe.com/xap/1.0/\0<gps>SECRET</gps>"],
    ));
    bytes.extend(segment(0xe2, &[b"MPF\0SECRET"]));
    bytes.extend(segment(0xe2, &[b"ICC_PROFILE\0\x01\x01 colours"]));
    bytes.extend(segment(0xed, &[b"Photoshop 3.0\0SECRET"]));
    bytes.extend(segment(0xfe, &[SECRET]));
    bytes.extend(&plain[2..]);
    bytes.extend(b"\xff\xd8\xff a motion photo, SECRET");
    bytes
}

fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let summed = [&kind, data].concat();
    let length = u32::try_from(data.len()).expect("short");
    [
        &length.to_be_bytes()[..],
        &summed,
        &crc32fast::hash(&summed).to_be_bytes(),
    ]
    .concat()
}

fn png() -> Vec<u8> {
    let plain = encode(ImageFormat::Png);
    // The signature and the header.
    let (head, rest) = plain.split_at(33);
    let mut bytes = head.to_vec();
    bytes.extend(chunk(*b"gAMA", &45_455_u32.to_be_bytes()));
    bytes.extend(chunk(*b"tEXt", b"Comment\0SECRET"));
    bytes.extend(chunk(*b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0SECRET"));
    bytes.extend(chunk(*b"eXIf", &exif(8)));
    bytes.extend(chunk(*b"tIME", b"\x07\xe8\x05\x01\x0c\x21\0"));
    bytes.extend(chunk(*b"prVt", SECRET));
    bytes.extend(rest);
    bytes.extend(b"behind the end, SECRET");
    bytes
}

fn riff(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short");
    let padding = vec![0; data.len() % 2];
    [&kind, &length.to_le_bytes()[..], data, &padding].concat()
}

fn webp() -> Vec<u8> {
    let plain = encode(ImageFormat::WebP);
    let body = [
        b"WEBP".to_vec(),
        riff(*b"VP8X", &[0b0000_1100, 0, 0, 0, 60, 0, 0, 32, 0, 0]),
        plain[12..].to_vec(),
        riff(*b"EXIF", &exif(3)),
        riff(*b"XMP ", b"<gps>SECRET</gps>"),
        riff(*b"SECR", SECRET),
    ];
    [
        riff(*b"RIFF", &body.concat()),
        b"behind the end, SECRET".to_vec(),
    ]
    .concat()
}

/// Returns a GIF of two frames.
fn gif() -> Vec<u8> {
    let mut plain = Vec::new();
    let mut encoder = GifEncoder::new(&mut plain);
    encoder.set_repeat(Repeat::Infinite).expect("encodes");
    for turned in [picture(), image::imageops::rotate180(&picture())] {
        encoder
            .encode_frame(Frame::new(DynamicImage::from(turned).into_rgba8()))
            .expect("encodes");
    }
    drop(encoder);
    // The screen descriptor and its colour table.
    let colours = if plain[10] & 0x80 == 0 {
        0
    } else {
        3 << ((plain[10] & 7) + 1)
    };
    let (screen, rest) = plain.split_at(13 + colours);
    let mut bytes = screen.to_vec();
    bytes.extend(b"\x21\xfe\x06SECRET\0");
    bytes.extend(b"\x21\xff\x0bXMP DataXMP\x06SECRET\0");
    // A plain text with its delay.
    bytes.extend(b"\x21\xf9\x04\0\x05\0\0\0\x21\x01\x0c\0\0\0\0\0\0\0\0\0\0\0\0\x06SECRET\0");
    bytes.extend(rest);
    bytes.extend(b"behind the end, SECRET");
    bytes
}

fn bmp() -> Vec<u8> {
    let mut bytes = encode(ImageFormat::Bmp);
    bytes[6..10].copy_from_slice(b"SECR");
    bytes.extend(b"behind the end, SECRET");
    bytes
}

/// Returns a TIFF in two strips, with all kinds of metadata.
fn tiff() -> Vec<u8> {
    let pixels = picture().into_raw();
    let (upper, lower) = pixels.split_at(61 * 3 * 20);
    let mut bytes = b"II\x2a\0\0\0\0\0".to_vec();
    let mut put = |data: &[u8]| {
        let at = u32::try_from(bytes.len()).expect("short");
        bytes.extend_from_slice(data);
        at
    };
    let size = |data: &[u8]| u32::try_from(data.len()).expect("short");
    let places = [put(b"SECRET"), put(upper), put(b"SECRET"), put(lower)];
    let places = put(&[places[1].to_le_bytes(), places[3].to_le_bytes()].concat());
    let sizes = put(&[size(upper).to_le_bytes(), size(lower).to_le_bytes()].concat());
    let bits = put(&[8, 0, 8, 0, 8, 0]);
    let text = put(b"SECRET\0\0");
    let latitude = put(LATITUDE);
    let gps = put(&[
        &[1, 0, 2, 0, 5, 0, 3, 0, 0, 0][..],
        &latitude.to_le_bytes(),
        &[0; 4],
    ]
    .concat());
    let fields: [(u16, u16, u32, u32); 15] = [
        (256, 3, 1, 61),
        (257, 3, 1, 33),
        (258, 3, 3, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (270, 2, 7, text),
        (273, 4, 2, places),
        (274, 3, 1, 6),
        (277, 3, 1, 3),
        (278, 3, 1, 20),
        (279, 4, 2, sizes),
        (306, 2, 7, text),
        (315, 2, 7, text),
        (700, 1, 7, text),
        (34853, 4, 1, gps),
    ];
    let mut directory = 15_u16.to_le_bytes().to_vec();
    for (tag, kind, count, value) in fields {
        directory.extend(tag.to_le_bytes());
        directory.extend(kind.to_le_bytes());
        directory.extend(count.to_le_bytes());
        directory.extend(value.to_le_bytes());
    }
    directory.extend([0; 4]);
    let at = put(&directory);
    bytes[4..8].copy_from_slice(&at.to_le_bytes());
    bytes
}

fn all() -> [(&'static str, Vec<u8>); 6] {
    [
        ("JPEG", jpeg()),
        ("PNG", png()),
        ("WebP", webp()),
        ("GIF", gif()),
        ("BMP", bmp()),
        ("TIFF", tiff()),
    ]
}

static ALL: LazyLock<[(&'static str, Vec<u8>); 6]> = LazyLock::new(all);

fn stripped(name: &str, file: &[u8]) -> Vec<u8> {
    strip(file).expect(name).bytes.expect(name)
}

fn decoded(name: &str, file: &[u8]) -> (DynamicImage, Orientation) {
    let reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .expect(name);
    let mut decoder = reader.into_decoder().expect(name);
    let orientation = decoder.orientation().expect(name);
    (
        DynamicImage::from_decoder(decoder).expect(name),
        orientation,
    )
}

fn contains(file: &[u8], what: &[u8]) -> bool {
    file.windows(what.len()).any(|window| window == what)
}

#[test]
fn metadata_is_removed_and_pixels_and_orientation_are_unchanged() {
    for (name, file) in all() {
        assert!(contains(&file, SECRET), "{name}");
        let clean = stripped(name, &file);
        assert!(
            !contains(&clean, SECRET) && !contains(&clean, b"2024:05:01"),
            "{name}"
        );
        assert!(clean.len() < file.len(), "{name}");
        assert!(decoded(name, &file) == decoded(name, &clean), "{name}");
    }
    let turned = [
        ("JPEG", jpeg()),
        ("PNG", png()),
        ("WebP", webp()),
        ("TIFF", tiff()),
    ];
    for ((name, file), orientation) in turned.into_iter().zip([
        Orientation::Rotate90,
        Orientation::Rotate270,
        Orientation::Rotate180,
        Orientation::Rotate90,
    ]) {
        assert_eq!(
            decoded(name, &stripped(name, &file)).1,
            orientation,
            "{name}"
        );
    }
}

#[test]
fn a_stripped_file_has_no_more_metadata() {
    for (name, file) in all() {
        let again = strip(&stripped(name, &file)).expect(name);
        assert_eq!(
            again,
            Stripped {
                bytes: None,
                taken_at: None
            },
            "{name}"
        );
    }
}

#[test]
fn a_file_without_metadata_is_unchanged() {
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Bmp,
    ] {
        assert_eq!(
            strip(&encode(format)).expect("strips").bytes,
            None,
            "{format:?}"
        );
    }
}

#[test]
fn the_time_is_returned_beside_the_file() {
    for (name, file) in [("JPEG", jpeg()), ("PNG", png()), ("WebP", webp())] {
        let taken_at = strip(&file).expect(name).taken_at.expect(name);
        assert_eq!(taken_at.as_str(), "2024-05-01T12:33:00", "{name}");
    }
}

#[test]
fn parts_needed_for_display_are_kept() {
    assert!(contains(
        &stripped("JPEG", &jpeg()),
        b"ICC_PROFILE\0\x01\x01 colours"
    ));
    assert!(contains(&stripped("JPEG", &jpeg()), b"JFIF\0"));
    assert!(contains(&stripped("PNG", &png()), b"gAMA"));
    let clean = stripped("GIF", &gif());
    assert!(contains(&clean, b"NETSCAPE2.0"));
    let frames = |file: &[u8]| {
        let decoder = GifDecoder::new(Cursor::new(file.to_vec())).expect("opens");
        decoder.into_frames().collect_frames().expect("decodes")
    };
    let (before, after) = (frames(&gif()), frames(&clean));
    assert_eq!(after.len(), 2);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.delay(), after.delay());
        assert!(before.buffer() == after.buffer());
    }
}

#[test]
fn a_thumbnail_in_the_jfif_segment_is_removed() {
    let plain = encode(ImageFormat::Jpeg);
    let jfif = segment(0xe0, &[b"JFIF\0\x01\x02\0\0\x01\0\x01\x01\x02SECRET"]);
    // Replaces the first segment that the encoder writes, which is JFIF's.
    let file = [&plain[..2], &jfif, &plain[20..]].concat();
    let clean = stripped("JPEG", &file);
    assert!(!contains(&clean, SECRET) && contains(&clean, b"JFIF\0"));
    assert!(decoded("JPEG", &file) == decoded("JPEG", &clean));
}

#[test]
fn unsupported_files_are_rejected() {
    let mut raw = tiff();
    // Turns the last field into a subdirectory, as in camera raw files.
    let last = raw.len() - 16;
    raw[last..last + 2].copy_from_slice(&330_u16.to_le_bytes());
    for file in [
        &b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..],
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
        b"II\x2b\0\x08\0\0\0",
        b"\0\0\x01\0\x01\0",
        b"8BPS\0\x01",
        b"",
        &raw,
    ] {
        assert_eq!(strip(file), Err(Unreadable::Unstrippable), "{file:?}");
    }
}

#[test]
fn truncated_files_are_rejected() {
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
    ] {
        let file = encode(format);
        for length in 16..file.len() {
            assert_eq!(
                strip(&file[..length]),
                Err(Unreadable::CutOff),
                "{format:?} of {length} bytes"
            );
        }
    }
    let file = tiff();
    for length in 4..file.len() {
        assert_eq!(
            strip(&file[..length]),
            Err(Unreadable::CutOff),
            "TIFF of {length} bytes"
        );
    }
}

/// A directory that is its own successor.
#[test]
fn a_circular_tiff_is_rejected() {
    let mut endless = tiff();
    let (length, first) = (endless.len(), endless[4..8].to_vec());
    endless[length - 4..].copy_from_slice(&first);
    assert_eq!(strip(&endless), Err(Unreadable::Damaged));
}

/// Asserts that a file is rejected, or that stripping it once is enough and does not let it grow.
fn assert_strips_once(file: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(Stripped { bytes, .. }) = strip(file) {
        let clean = bytes.unwrap_or_else(|| file.to_vec());
        prop_assert!(clean.len() <= file.len() + 8 * 1024);
        let again = strip(&clean);
        prop_assert_eq!(again.map(|again| again.bytes), Ok(None));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_stripped_or_rejected(kind in 0_usize..6, rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let head = &ALL[kind].1[..16];
        assert_strips_once(&[head, &rest].concat())?;
        assert_strips_once(&rest)?;
    }

    #[test]
    fn a_changed_picture_is_stripped_or_rejected(
        kind in 0_usize..6, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = ALL[kind].1.clone();
        for (at, byte) in changes {
            // Most structure is at the beginning, or in a TIFF at the end.
            let at = at.index(file.len());
            let at = if kind == 5 { file.len() - 1 - at / 16 } else { at / 8 };
            file[at] = byte;
        }
        assert_strips_once(&file)?;
    }
}
