//! A time in a request, converted to UTC, so that responses never repeat the client's offset.

use std::borrow::Cow;

use poem_openapi::registry::MetaSchemaRef;
use poem_openapi::types::{
    ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// The type of every time in a request. Times in responses come from PostgreSQL or the clock and
/// are always UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UtcTime(OffsetDateTime);

impl UtcTime {
    /// Returns the time, in UTC.
    pub(crate) fn moment(self) -> OffsetDateTime {
        self.0
    }

    /// Parses a time. Its year must have four digits (RFC 3339), also after the conversion to UTC.
    fn parse(text: &str) -> Option<Self> {
        let given = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let at = given.checked_to_offset(UtcOffset::UTC)?;
        (0..=9999).contains(&at.year()).then_some(Self(at))
    }
}

impl Type for UtcTime {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        OffsetDateTime::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        OffsetDateTime::schema_ref()
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for UtcTime {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(text) => Self::parse_from_parameter(&text).map_err(ParseError::propagate),
            other => Err(ParseError::expected_type(other)),
        }
    }
}

impl ParseFromParameter for UtcTime {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse(value)
            .ok_or_else(|| ParseError::custom("Expected a date and time as in RFC 3339."))
    }
}

impl ToJSON for UtcTime {
    fn to_json(&self) -> Option<Value> {
        self.0.to_json()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_converted_to_utc() {
        for text in [
            "2026-08-01T12:00:00Z",
            "2026-08-02T02:00:00+14:00",
            "2026-08-01T00:00:00-12:00",
        ] {
            let at = UtcTime::parse_from_parameter(text).expect(text);
            assert_eq!(at.moment(), datetime!(2026-08-01 12:00 UTC));
            assert_eq!(at.to_json(), Some("2026-08-01T12:00:00Z".into()), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_four_digit_year_in_utc_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-08-01",
            "2026-08-01T12:00:00",
            "2026-02-30T12:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
            "2026-08-01T12:00:00+24:00",
        ] {
            assert!(UtcTime::parse_from_parameter(text).is_err(), "{text}");
            assert!(
                UtcTime::parse_from_json(Some(text.into())).is_err(),
                "{text}"
            );
        }
        assert!(UtcTime::parse_from_json(Some(1.into())).is_err());
    }
}
