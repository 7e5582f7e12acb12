//! The Range header (RFC 9110, section 14), one range a request.

use plinth_object_store::ByteRange;

/// What of some content is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part(ByteRange),
    /// A range that is not within the content.
    Nothing,
}

/// Reads the header for content of `size` bytes. What is malformed, of another unit or several ranges asks for the
/// whole, as a server may answer (section 14.2).
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header.and_then(spec) else { return Wanted::Whole };
    match (first, last) {
        (Some(first), Some(last)) if last < first => Wanted::Whole,
        (Some(first), _) if first >= size => Wanted::Nothing,
        (Some(first), last) => {
            Wanted::Part(ByteRange { first, last: last.unwrap_or(u64::MAX).min(size - 1) })
        }
        (None, Some(0)) => Wanted::Nothing,
        (None, Some(_)) if size == 0 => Wanted::Nothing,
        (None, Some(suffix)) => {
            Wanted::Part(ByteRange { first: size.saturating_sub(suffix), last: size - 1 })
        }
        (None, None) => Wanted::Whole,
    }
}

/// `bytes=first-last` with either side absent.
fn spec(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, spec) = header.split_once('=')?;
    let (first, last) = spec.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(first: u64, last: u64) -> Wanted {
        Wanted::Part(ByteRange { first, last })
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let cases = [
            (None, Wanted::Whole),
            (Some("bytes=0-99"), part(0, 99)),
            (Some("bytes=0-0"), part(0, 0)),
            (Some("BYTES = 10-"), part(10, 999)),
            (Some("bytes=990-2000"), part(990, 999)),
            (Some("bytes=-5"), part(995, 999)),
            (Some("bytes=-5000"), part(0, 999)),
            (Some("bytes=1000-"), Wanted::Nothing),
            (Some("bytes=-0"), Wanted::Nothing),
            (Some("bytes=9-3"), Wanted::Whole),
            (Some("bytes=a-b"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
            (Some("lines=1-2"), Wanted::Whole),
            (Some("bytes=0-1,3-4"), Wanted::Whole),
            (Some("bytes=0-99999999999999999999999"), part(0, 999)),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 1000), expected, "{header:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(Some("bytes=-1"), 0), Wanted::Nothing);
    }

    proptest! {
        #[test]
        fn a_part_is_always_within_the_content(header in "(bytes=)?[0-9,a -]{0,20}", size in 0u64..5000) {
            if let Wanted::Part(range) = wanted(Some(&header), size) {
                prop_assert!(range.first <= range.last && range.last < size);
            }
        }
    }
}
