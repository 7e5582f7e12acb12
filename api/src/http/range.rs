//! The Range header (RFC 9110, section 14), with one range or several.

use plinth_object_store::ByteRange;

/// The maximum number of ranges in a request. A request for more gets the whole content.
const MAX_RANGES: usize = 16;

/// The part of the content that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedRange {
    Whole,
    Part(ByteRange),
    /// Several ranges without overlap, in the order of the request.
    Parts(Vec<ByteRange>),
    /// No range is within the content.
    Unsatisfiable,
}

/// Parses the header for content of `size` bytes. Ranges that are malformed, overlapping, too many
/// or of another unit are ignored, as section 14.2 allows: the request gets the whole content.
pub fn parse_range(header: Option<&str>, size: u64) -> RequestedRange {
    let Some(specs) = header.and_then(specs) else {
        return RequestedRange::Whole;
    };
    // A last position before the first one makes the whole header invalid.
    if specs
        .iter()
        .any(|spec| matches!(spec, (Some(first), Some(last)) if last < first))
    {
        return RequestedRange::Whole;
    }
    let ranges: Vec<ByteRange> = specs
        .into_iter()
        .filter_map(|spec| clamp(spec, size))
        .collect();
    match ranges.as_slice() {
        [] => RequestedRange::Unsatisfiable,
        [one] => RequestedRange::Part(*one),
        _ if overlap(&ranges) => RequestedRange::Whole,
        _ => RequestedRange::Parts(ranges),
    }
}

/// Cuts a range to the content.
fn clamp(spec: (Option<u64>, Option<u64>), size: u64) -> Option<ByteRange> {
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

/// Parses `bytes=first-last, first-last`, where either number of a range can be missing.
fn specs(header: &str) -> Option<Vec<(Option<u64>, Option<u64>)>> {
    let (unit, specs) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let specs: Vec<_> = specs.split(',').map(spec).collect::<Option<_>>()?;
    (specs.len() <= MAX_RANGES).then_some(specs)
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

    fn part(first: u64, last: u64) -> RequestedRange {
        RequestedRange::Part(ByteRange { first, last })
    }

    fn parts(ranges: &[(u64, u64)]) -> RequestedRange {
        RequestedRange::Parts(
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
    fn ranges_are_parsed_as_the_standard_requires() {
        let cases = [
            (None, RequestedRange::Whole),
            (Some("bytes=0-99"), part(0, 99)),
            (Some("bytes=0-0"), part(0, 0)),
            (Some("BYTES = 10-"), part(10, 999)),
            (Some("bytes=990-2000"), part(990, 999)),
            (Some("bytes=-5"), part(995, 999)),
            (Some("bytes=-5000"), part(0, 999)),
            (Some("bytes=1000-"), RequestedRange::Unsatisfiable),
            (Some("bytes=-0"), RequestedRange::Unsatisfiable),
            (Some("bytes=9-3"), RequestedRange::Whole),
            (Some("bytes=a-b"), RequestedRange::Whole),
            (Some("bytes=-"), RequestedRange::Whole),
            (Some("lines=1-2"), RequestedRange::Whole),
            (Some("bytes=0-1, 3-4"), parts(&[(0, 1), (3, 4)])),
            (Some("bytes=-1,0-0"), parts(&[(999, 999), (0, 0)])),
            (Some("bytes=5-6,2000-"), part(5, 6)),
            (Some("bytes=2000-,3000-"), RequestedRange::Unsatisfiable),
            (Some("bytes=0-9,5-"), RequestedRange::Whole),
            (Some("bytes=0-1,9-3"), RequestedRange::Whole),
            (Some("bytes=0-1,,3-4"), RequestedRange::Whole),
            (
                Some(
                    "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30,32-32",
                ),
                RequestedRange::Whole,
            ),
            (Some("bytes=0-99999999999999999999999"), part(0, 999)),
        ];
        for (header, expected) in cases {
            assert_eq!(parse_range(header, 1000), expected, "{header:?}");
        }
        assert_eq!(
            parse_range(Some("bytes=0-"), 0),
            RequestedRange::Unsatisfiable
        );
        assert_eq!(
            parse_range(Some("bytes=-1"), 0),
            RequestedRange::Unsatisfiable
        );
    }

    proptest! {
        #[test]
        fn ranges_are_within_the_content_and_do_not_overlap(
            header in "(bytes=)?[0-9,a -]{0,30}", size in 0u64..5000,
        ) {
            let ranges = match parse_range(Some(&header), size) {
                RequestedRange::Part(range) => vec![range],
                RequestedRange::Parts(ranges) => ranges,
                RequestedRange::Whole | RequestedRange::Unsatisfiable => vec![],
            };
            prop_assert!(ranges.iter().all(|range| range.first <= range.last && range.last < size));
            let sum: u64 = ranges.iter().map(|range| range.last - range.first + 1).sum();
            prop_assert!(sum <= size, "a response is never larger than the content");
        }
    }
}
