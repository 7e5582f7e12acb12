//! Kinds of pictures that are known and cannot be read: their owners are told so by name.

use crate::Unreadable;

/// The refusal of a HEIC or AVIF file, by the brand in its first box (ISO/IEC 14496-12, section 4.3).
pub fn refusal(source: &[u8]) -> Option<Unreadable> {
    if source.get(4..8)? != b"ftyp" {
        return None;
    }
    match source.get(8..12)? {
        b"avif" | b"avis" => Some(Unreadable::Avif),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
            Some(Unreadable::Heic)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brand_decides() {
        assert_eq!(refusal(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), Some(Unreadable::Heic));
        assert_eq!(refusal(b"\0\0\0\x18ftypavif"), Some(Unreadable::Avif));
        assert_eq!(refusal(b"\0\0\0\x18ftypisom"), None);
        assert_eq!(refusal(b"\0\0\0\x18ftyp"), None);
        assert_eq!(refusal(b"\xff\xd8\xff\xe0"), None);
    }
}
