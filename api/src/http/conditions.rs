//! Preconditions of a download, evaluated in the order of RFC 9110, section 13.2.2.

use std::time::{Duration, SystemTime};

use poem::http::{HeaderMap, HeaderName, header};

/// The result of evaluating the preconditions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    Met,
    /// The client already has these bytes.
    NotModified,
    /// The client expects other bytes.
    Failed,
}

/// Evaluates the preconditions against content with a strong, quoted `etag`.
///
/// An entity tag takes precedence over a date, which has a resolution of one second. A malformed
/// date is ignored.
pub fn check(headers: &HeaderMap, etag: &str, modified: SystemTime) -> Precondition {
    let is_match = match tags(headers, header::IF_MATCH) {
        // Strong comparison: a weak tag matches nothing.
        Some(tags) => listed(&tags).any(|tag| tag == "*" || tag == etag),
        None => time(headers, header::IF_UNMODIFIED_SINCE)
            .is_none_or(|time| is_unmodified(modified, time)),
    };
    if !is_match {
        return Precondition::Failed;
    }
    let is_cached = match tags(headers, header::IF_NONE_MATCH) {
        Some(tags) => {
            listed(&tags).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
        }
        None => time(headers, header::IF_MODIFIED_SINCE)
            .is_some_and(|time| is_unmodified(modified, time)),
    };
    if is_cached {
        Precondition::NotModified
    } else {
        Precondition::Met
    }
}

/// Returns whether a Range header refers to this content (RFC 9110, section 13.1.5). A date never
/// matches, because two versions can share a second.
pub fn applies_to_range(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get(header::IF_RANGE)
        .is_none_or(|value| value == etag)
}

/// Returns the values of a list header, which can span several fields, as one list.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn listed(tags: &str) -> impl Iterator<Item = &str> {
    tags.split(',').map(str::trim)
}

fn time(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

fn is_unmodified(modified: SystemTime, since: SystemTime) -> bool {
    modified < since + Duration::from_secs(1)
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::Precondition::{Failed, Met, NotModified};
    use super::*;

    const EARLY: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
    const LATE: &str = "Fri, 01 Jan 2027 00:00:00 GMT";

    #[test]
    fn preconditions_are_compared_in_the_order_of_the_standard() {
        let modified = httpdate::parse_http_date("Thu, 01 Jan 2026 00:00:00 GMT").expect("a date");
        for (fields, expected) in [
            (&[][..], Met),
            (&[("if-match", "\"a\"")], Met),
            (&[("if-match", "*")], Met),
            (&[("if-match", "\"b\", \"a\"")], Met),
            (&[("if-match", "\"b\""), ("if-match", "\"a\"")], Met),
            (&[("if-match", "\"b\"")], Failed),
            (&[("if-match", "W/\"a\"")], Failed),
            (&[("if-match", "a")], Failed),
            (&[("if-match", "")], Failed),
            (&[("if-unmodified-since", LATE)], Met),
            (&[("if-unmodified-since", EARLY)], Failed),
            (&[("if-unmodified-since", "nonsense")], Met),
            (
                &[("if-match", "\"a\""), ("if-unmodified-since", EARLY)],
                Met,
            ),
            (
                &[("if-match", "\"b\""), ("if-unmodified-since", LATE)],
                Failed,
            ),
            (&[("if-none-match", "\"a\"")], NotModified),
            (&[("if-none-match", "W/\"a\"")], NotModified),
            (&[("if-none-match", "\"b\", \"a\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"ab\"")], Met),
            (&[("if-modified-since", LATE)], NotModified),
            (&[("if-modified-since", EARLY)], Met),
            (
                &[("if-none-match", "\"b\""), ("if-modified-since", LATE)],
                Met,
            ),
            (
                &[("if-match", "\"a\""), ("if-none-match", "\"a\"")],
                NotModified,
            ),
            (&[("if-match", "\"b\""), ("if-none-match", "\"a\"")], Failed),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
            }
            assert_eq!(check(&headers, "\"a\"", modified), expected, "{fields:?}");
        }
    }
}
