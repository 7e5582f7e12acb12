//! The Range header (RFC 9110, section 14): one range or several.

use plinth_object_store::ByteRange;

/// Ranges that one request may ask for; whoever asks for more gets the whole.
const MOST: usize = 16;

/// What of some content is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part(ByteRange),
    /// In the order in which they were asked for; no two overlap.
    Parts(Vec<ByteRange>),
    /// No range that is within the content.
    Nothing,
}

/// Reads the header for content of `size` bytes. What is malformed, of another unit, too much or twice the same asks for
/// the whole, as a server may answer (section 14.2).
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(specs) = header.and_then(specs) else {
        return Wanted::Whole;
    };
    // A last position before the first one makes the whole header invalid.
    if specs
        .iter()
        .any(|spec| matches!(spec, (Some(first), Some(last)) if last < first))
    {
        return Wanted::Whole;
    }
    let ranges: Vec<ByteRange> = specs
        .into_iter()
        .filter_map(|spec| within(spec, size))
        .collect();
    match ranges.as_slice() {
        [] => Wanted::Nothing,
        [one] => Wanted::Part(*one),
        _ if overlap(&ranges) => Wanted::Whole,
        _ => Wanted::Parts(ranges),
    }
}

/// The part of a range that there is.
fn within(spec: (Option<u64>, Option<u64>), size: u64) -> Option<ByteRange> {
    let end = size.checked_sub(1)?;
    match spec {
        (Some(first), last) => (first <= end).then(|| ByteRange {
            first,
            last: last.unwrap_or(u64::MAX).min(end),
        }),
        (None, Some(0) | None) => None,
        (None, Some(suffix)) => Some(ByteRange {
            first: size.saturating_sub(suffix),
            last: end,
        }),
    }
}

fn overlap(ranges: &[ByteRange]) -> bool {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| range.first);
    sorted.windows(2).any(|two| two[0].last >= two[1].first)
}

/// `bytes=first-last, first-last` with either side of each absent.
fn specs(header: &str) -> Option<Vec<(Option<u64>, Option<u64>)>> {
    let (unit, specs) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let specs: Vec<_> = specs.split(',').map(spec).collect::<Option<_>>()?;
    (specs.len() <= MOST).then_some(specs)
}

fn spec(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = text.trim().split_once('-')?;
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    let spec = (number(first)?, number(last)?);
    (spec != (None, None)).then_some(spec)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(first: u64, last: u64) -> Wanted {
        Wanted::Part(ByteRange { first, last })
    }

    fn parts(ranges: &[(u64, u64)]) -> Wanted {
        Wanted::Parts(
            ranges
                .iter()
                .map(|(first, last)| ByteRange {
                    first: *first,
                    last: *last,
                })
                .collect(),
        )
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
            (Some("bytes=0-1, 3-4"), parts(&[(0, 1), (3, 4)])),
            (Some("bytes=-1,0-0"), parts(&[(999, 999), (0, 0)])),
            (Some("bytes=5-6,2000-"), part(5, 6)),
            (Some("bytes=2000-,3000-"), Wanted::Nothing),
            (Some("bytes=0-9,5-"), Wanted::Whole),
            (Some("bytes=0-1,9-3"), Wanted::Whole),
            (Some("bytes=0-1,,3-4"), Wanted::Whole),
            (
                Some(
                    "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30,32-32",
                ),
                Wanted::Whole,
            ),
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
        fn every_part_is_within_the_content_and_none_comes_twice(
            header in "(bytes=)?[0-9,a -]{0,30}", size in 0u64..5000,
        ) {
            let ranges = match wanted(Some(&header), size) {
                Wanted::Part(range) => vec![range],
                Wanted::Parts(ranges) => ranges,
                Wanted::Whole | Wanted::Nothing => vec![],
            };
            prop_assert!(ranges.iter().all(|range| range.first <= range.last && range.last < size));
            let sum: u64 = ranges.iter().map(|range| range.last - range.first + 1).sum();
            prop_assert!(sum <= size, "no request makes the answer larger than the content");
        }
    }
}
