//! What EXIF says that is kept: when a picture was taken. Of the rest nothing leaves the child.

use exif::{Exif, In, Reader, Tag, Value};
use plinth_domain::picture::TakenAt;

/// When the picture was taken; `None` where it does not say, or says no time. Takes EXIF without a container: a TIFF
/// header and what follows.
pub fn taken_at(exif: Vec<u8>) -> Option<TakenAt> {
    let exif = Reader::new().read_raw(exif).ok()?;
    let clock = ascii(&exif, Tag::DateTimeOriginal)?;
    // "2024:05:01 12:33:00", and of some cameras a zero after it.
    let clock = clock.get(..19)?;
    let (date, time) = clock.split_once(' ')?;
    let text = format!("{}T{time}", date.replace(':', "-"));
    let offset = ascii(&exif, Tag::OffsetTimeOriginal).unwrap_or_default();
    // A time is worth having also where the offset makes no sense.
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

    /// EXIF with nothing but these fields of the camera's directory, in big-endian order.
    fn exif(fields: &[(u16, &str)]) -> Vec<u8> {
        let mut bytes =
            b"MM\0\x2a\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0".to_vec();
        let count = u16::try_from(fields.len()).expect("few");
        bytes.extend(count.to_be_bytes());
        let mut place = 26 + 2 + 12 * u32::from(count) + 4;
        let mut texts = Vec::new();
        for (tag, text) in fields {
            let length = u32::try_from(text.len() + 1).expect("short");
            bytes.extend(tag.to_be_bytes());
            bytes.extend(2_u16.to_be_bytes());
            bytes.extend(length.to_be_bytes());
            bytes.extend(place.to_be_bytes());
            place += length;
            texts.extend(text.bytes().chain([0]));
        }
        bytes.extend([0; 4]);
        bytes.extend(texts);
        bytes
    }

    #[test]
    fn the_cameras_time_is_read_with_its_offset_if_that_makes_sense() {
        let (time, offset) = (0x9003, 0x9011);
        let told = |fields: &[(u16, &str)]| taken_at(exif(fields)).map(|time| time.to_string());
        let said = (time, "2024:05:01 12:33:00");
        assert_eq!(told(&[said]).as_deref(), Some("2024-05-01T12:33:00"));
        assert_eq!(
            told(&[said, (offset, "+02:00")]).as_deref(),
            Some("2024-05-01T12:33:00+02:00")
        );
        assert_eq!(
            told(&[said, (offset, "   :  ")]).as_deref(),
            Some("2024-05-01T12:33:00")
        );
        assert_eq!(told(&[(time, "0000:00:00 00:00:00")]), None);
        assert_eq!(told(&[(time, "    :  :     :  :  ")]), None);
        assert_eq!(told(&[(offset, "+02:00")]), None);
        assert_eq!(taken_at(b"MM\0\x2a\xff\xff\xff\xff".to_vec()), None);
        assert_eq!(taken_at(Vec::new()), None);
    }
}
