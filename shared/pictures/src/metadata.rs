//! The only EXIF data that leaves the child: when a picture was taken.

use exif::{Exif, In, Reader, Tag, Value};
use plinth_domain::picture::TakenAt;

/// Returns when the picture was taken, or `None` if the EXIF data has no valid time. Expects EXIF
/// without a container: a TIFF header and what follows it.
pub fn taken_at(exif: Vec<u8>) -> Option<TakenAt> {
    let exif = Reader::new().read_raw(exif).ok()?;
    let clock = ascii(&exif, Tag::DateTimeOriginal)?;
    // "2024:05:01 12:33:00"; some cameras write a zero byte after it.
    let clock = clock.get(..19)?;
    let (date, time) = clock.split_once(' ')?;
    let text = format!("{}T{time}", date.replace(':', "-"));
    let offset = ascii(&exif, Tag::OffsetTimeOriginal).unwrap_or_default();
    // An invalid offset does not invalidate the time.
    format!("{text}{}", offset.trim())
        .parse()
        .or_else(|_| text.parse())
        .ok()
}

fn ascii(exif: &Exif, tag: Tag) -> Option<&str> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(texts) => std::str::from_utf8(texts.first()?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns EXIF data with only these fields of the camera's directory, in big-endian order.
    fn exif(fields: &[(u16, &str)]) -> Vec<u8> {
        let mut bytes =
            b"MM\0\x2a\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0".to_vec();
        let count = u16::try_from(fields.len()).expect("few");
        bytes.extend(count.to_be_bytes());
        let mut offset = 26 + 2 + 12 * u32::from(count) + 4;
        let mut texts = Vec::new();
        for (tag, text) in fields {
            let length = u32::try_from(text.len() + 1).expect("short");
            bytes.extend(tag.to_be_bytes());
            bytes.extend(2_u16.to_be_bytes());
            bytes.extend(length.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
            offset += length;
            texts.extend(text.bytes().chain([0]));
        }
        bytes.extend([0; 4]);
        bytes.extend(texts);
        bytes
    }

    #[test]
    fn the_time_is_read_with_its_offset_if_that_is_valid() {
        let (time, offset) = (0x9003, 0x9011);
        let taken = |fields: &[(u16, &str)]| taken_at(exif(fields)).map(|time| time.to_string());
        let valid = (time, "2024:05:01 12:33:00");
        assert_eq!(taken(&[valid]).as_deref(), Some("2024-05-01T12:33:00"));
        assert_eq!(
            taken(&[valid, (offset, "+02:00")]).as_deref(),
            Some("2024-05-01T12:33:00+02:00")
        );
        assert_eq!(
            taken(&[valid, (offset, "   :  ")]).as_deref(),
            Some("2024-05-01T12:33:00")
        );
        assert_eq!(taken(&[(time, "0000:00:00 00:00:00")]), None);
        assert_eq!(taken(&[(time, "    :  :     :  :  ")]), None);
        assert_eq!(taken(&[(offset, "+02:00")]), None);
        assert_eq!(taken_at(b"MM\0\x2a\xff\xff\xff\xff".to_vec()), None);
        assert_eq!(taken_at(Vec::new()), None);
    }
}
