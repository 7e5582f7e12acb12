//! The part of a JPEG before its pixels: size, colours, EXIF and ICC profile.

use super::segments::{APP1, APP2, END, EXIF, ICC, SCAN, has_no_payload, next_marker, payload};
use crate::input::Input;
use crate::{Feature, Unreadable};

/// The header of a JPEG.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    /// Width and height in pixels.
    pub(crate) size: (u32, u32),
    /// One for greyscale, three for colours, four for CMYK.
    pub(crate) components: u8,
    /// Whether one scan has all data of a pixel. Otherwise the decoder keeps everything until the
    /// end.
    pub(crate) is_in_one_scan: bool,
    /// EXIF data: a TIFF header and what follows it. If there are several, the last one.
    pub(crate) exif: Option<&'a [u8]>,
    pub(crate) profile: Option<Vec<u8>>,
}

impl<'a> Header<'a> {
    /// Reads the file up to the first scan. Invalid bytes between segments are skipped, as the
    /// decoder does.
    pub(crate) fn read(file: &'a [u8]) -> Result<Self, Unreadable> {
        let mut input = Input(file);
        let (mut header, mut chunks) = (None, Vec::new());
        let (mut exif, mut is_sequential) = (None, false);
        loop {
            match next_marker(&mut input)? {
                marker if has_no_payload(marker) => {}
                END => return Err(Unreadable::Damaged),
                marker => {
                    let payload = payload(&mut input)?;
                    match marker {
                        SCAN => {
                            let mut header: Self = header.ok_or(Unreadable::Damaged)?;
                            header.is_in_one_scan =
                                is_sequential && payload.first() == Some(&header.components);
                            return Ok(Self {
                                exif,
                                profile: join_profile(chunks),
                                ..header
                            });
                        }
                        0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf
                            if header.is_none() =>
                        {
                            header = Some(parse_frame(marker, payload)?);
                            is_sequential = matches!(marker, 0xc0 | 0xc1 | 0xc9);
                        }
                        APP1 => exif = payload.strip_prefix(EXIF).or(exif),
                        APP2 => chunks.extend(payload.strip_prefix(ICC)),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Parses a frame header (T.81, B.2.2). The marker selects the coding process (table B.1).
fn parse_frame(marker: u8, payload: &[u8]) -> Result<Header<'static>, Unreadable> {
    let [precision, size @ .., components] =
        *payload.first_chunk::<6>().ok_or(Unreadable::Damaged)?;
    let unsupported = match marker {
        0xc3 | 0xcb => Some(Feature::LosslessJpeg),
        0xc5..=0xc7 | 0xcd..=0xcf => Some(Feature::HierarchicalJpeg),
        _ if precision > 8 => Some(Feature::DeepJpeg),
        _ => None,
    };
    if let Some(feature) = unsupported {
        return Err(Unreadable::Unsupported(feature));
    }
    let [height, width] = [[size[0], size[1]], [size[2], size[3]]].map(u16::from_be_bytes);
    Ok(Header {
        size: (width.into(), height.into()),
        components,
        ..Header::default()
    })
}

/// Joins the parts of a profile, each of which begins with its number and the count of parts
/// (ICC.1, B.4). Returns `None` if one is missing.
fn join_profile(mut parts: Vec<&[u8]>) -> Option<Vec<u8>> {
    let count = parts.len();
    parts.sort_by_key(|part| part.first().copied());
    let is_whole = parts.iter().zip(1..).all(|(part, number)| {
        matches!(part, [own, of, ..] if usize::from(*own) == number && usize::from(*of) == count)
    });
    (count > 0 && is_whole).then(|| parts.iter().flat_map(|part| &part[2..]).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::super::segments::START;
    use super::*;

    /// Returns a segment with this payload.
    fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 2)
            .expect("short")
            .to_be_bytes();
        [&[0xff, marker][..], &length, payload].concat()
    }

    fn file(segments: &[Vec<u8>]) -> Vec<u8> {
        [&[0xff, START][..], &segments.concat()].concat()
    }

    #[test]
    fn unsupported_kinds_are_named_in_the_reason() {
        for (marker, precision, feature) in [
            (0xc0, 12, Feature::DeepJpeg),
            (0xc1, 12, Feature::DeepJpeg),
            (0xc3, 8, Feature::LosslessJpeg),
            (0xc5, 8, Feature::HierarchicalJpeg),
            (0xca, 12, Feature::DeepJpeg),
            (0xcb, 8, Feature::LosslessJpeg),
            (0xcd, 8, Feature::HierarchicalJpeg),
        ] {
            let mut file = file(&[frame(marker, 3), scan(3)]);
            file[6] = precision;
            let header = Header::read(&file);
            assert_eq!(header, Err(Unreadable::Unsupported(feature)), "{marker:x}");
        }
        let text = Unreadable::Unsupported(Feature::LosslessJpeg).to_string();
        assert_eq!(text, "Lossless JPEG is not supported.");
    }

    fn frame(marker: u8, components: u8) -> Vec<u8> {
        let mut payload = vec![8, 0, 30, 0, 40, components];
        payload.resize(6 + 3 * usize::from(components), 0);
        segment(marker, &payload)
    }

    fn scan(components: u8) -> Vec<u8> {
        let mut payload = vec![components];
        payload.resize(4 + 2 * usize::from(components), 0);
        segment(SCAN, &payload)
    }

    #[test]
    fn size_and_components_come_from_the_frame() {
        for (marker, components, scanned, is_in_one_scan) in [
            (0xc0, 3, 3, true),
            (0xc1, 1, 1, true),
            (0xc9, 3, 3, true),
            (0xc0, 3, 1, false),
            (0xc2, 3, 3, false),
        ] {
            let file = file(&[frame(marker, components), scan(scanned)]);
            let expected = Header {
                size: (40, 30),
                components,
                is_in_one_scan,
                ..Header::default()
            };
            assert_eq!(Header::read(&file), Ok(expected));
        }
    }

    #[test]
    fn the_last_exif_and_only_a_complete_profile_are_used() {
        let profile =
            |number: u8, of: u8, bytes: &[u8]| segment(APP2, &[ICC, &[number, of], bytes].concat());
        let exif = |bytes: &[u8]| segment(APP1, &[EXIF, bytes].concat());
        let with = |segments: &[Vec<u8>]| {
            let file = file(&[segments.concat(), frame(0xc0, 3), scan(3)]);
            let header = Header::read(&file).expect("a header");
            (header.exif.map(<[u8]>::to_vec), header.profile)
        };
        assert_eq!(with(&[]), (None, None));
        assert_eq!(
            with(&[exif(b"a"), exif(b"b"), segment(APP1, b"http")]),
            (Some(b"b".to_vec()), None)
        );
        let (first, second) = (profile(1, 2, b"ab"), profile(2, 2, b"cd"));
        assert_eq!(
            with(&[second.clone(), first.clone()]).1.as_deref(),
            Some(&b"abcd"[..])
        );
        assert_eq!(with(std::slice::from_ref(&first)).1, None);
        assert_eq!(with(&[first.clone(), first, second]).1, None);
    }

    #[test]
    fn a_file_without_a_frame_before_the_scan_is_not_a_picture() {
        for file in [
            file(&[scan(3), frame(0xc0, 3)]),
            file(&[frame(0xc0, 3), vec![0xff, END]]),
            file(&[segment(0xc0, &[8, 0, 30])]),
        ] {
            assert_eq!(Header::read(&file), Err(Unreadable::Damaged));
        }
        for file in [
            file(&[frame(0xc0, 3)]),
            file(&[frame(0xc0, 3)[..9].to_vec()]),
            Vec::new(),
        ] {
            assert_eq!(Header::read(&file), Err(Unreadable::CutOff));
        }
        let junk = file(&[
            vec![0, 0xff, 0, 1, 0xff, 0xff],
            frame(0xc0, 3)[1..].to_vec(),
            scan(3),
        ]);
        assert_eq!(Header::read(&junk).map(|header| header.size), Ok((40, 30)));
    }
}
