//! A secret in a path: the token of a link or of a ticket.

use std::borrow::Cow;
use std::fmt;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, Type};

/// The OpenAPI format of hidden text (OpenAPI 3.0, section 4.4). A parameter with this format is
/// left out of logs and traces.
const FORMAT: &str = "password";

/// A string whose debug output is redacted.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl Secret {
    /// Returns whether a parameter with this schema is a secret.
    pub(crate) fn is_schema(schema: &MetaSchemaRef) -> bool {
        matches!(schema, MetaSchemaRef::Inline(schema) if schema.format == Some(FORMAT))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl Type for Secret {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string(password)".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", FORMAT)))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for Secret {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        String::parse_from_parameter(value)
            .map(Self)
            .map_err(ParseError::propagate)
    }
}
