//! Detection of formats that `image` does not read: OS/2's BMP by its header, and AVIF and HEIC by
//! the brands in their first box (ISO/IEC 14496-12, section 4.3).

use crate::Unreadable;

/// Returns whether the file is a BMP of OS/2 2, whose header has 16 to 64 bytes and a length that
/// Windows does not use.
pub(crate) fn is_os2_bmp(file: &[u8]) -> bool {
    let length = file
        .get(14..18)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes);
    file.starts_with(b"BM")
        && length.is_some_and(|length| matches!(length, 16..=39 | 41..=51 | 53..=55 | 57..=64))
}

/// Returns whether AVIF is among the file's brands.
pub(crate) fn is_avif(source: &[u8]) -> bool {
    brands(source).is_some_and(|mut brands| brands.any(|brand| matches!(brand, b"avif" | b"avis")))
}

/// Returns the reason for a known format that cannot be read, which is HEIC.
pub fn refusal(source: &[u8]) -> Option<Unreadable> {
    let first = brands(source)?.next()?;
    let is_heic = matches!(
        first,
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1"
    );
    (is_heic && !is_avif(source)).then_some(Unreadable::Heic)
}

/// Returns the major brand and the compatible brands.
fn brands(source: &[u8]) -> Option<impl Iterator<Item = &[u8; 4]>> {
    let (length, rest) = source.split_first_chunk()?;
    let rest = rest.strip_prefix(b"ftyp")?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let rest = rest.get(..length.saturating_sub(8)).unwrap_or(rest);
    // The second entry is a version.
    let brands = rest.as_chunks().0.iter().enumerate();
    Some(
        brands
            .filter(|(index, _)| *index != 1)
            .map(|(_, brand)| brand),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brands_select_the_format() {
        assert_eq!(
            refusal(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
            Some(Unreadable::Heic)
        );
        assert_eq!(
            refusal(b"\0\0\0\x10ftypmif1\0\0\0\0"),
            Some(Unreadable::Heic)
        );
        for avif in [
            &b"\0\0\0\x18ftypavif"[..],
            b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif",
            b"\0\0\0\x10ftypavis\0\0\0\0",
        ] {
            assert!(is_avif(avif) && refusal(avif).is_none(), "{avif:?}");
        }
        for neither in [
            &b"\0\0\0\x18ftypisom"[..],
            b"\0\0\0\x18ftyp",
            b"\0\0\0\x10ftypisom\0\0\0\0avif",
            b"\0\0\0\x18ftypisomavif",
            b"\xff\xd8\xff\xe0",
        ] {
            assert!(
                !is_avif(neither) && refusal(neither).is_none(),
                "{neither:?}"
            );
        }
    }
}
